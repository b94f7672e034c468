"""Rows of a table, said with Keras' own layers and operations."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from dlrun.backends.tensorflow.stock import DTYPE, stock
from dlrun.graph import Node
from dlrun.layers import columns


def _numbers(layer: columns.Columns, x: Any) -> list[Any]:
    return [ops.take(x, list(layer.numbers), axis=1)] if layer.numbers else []


def _ids(x: Any, column: int, count: int) -> Any:
    given = x[:, column]
    known = ops.logical_and(ops.logical_and(given >= 0, given < count), ops.equal(given, ops.floor(given)))
    return ops.cast(ops.where(known, given, 0.0), "int32")


@stock(columns.OneHotColumns)
def _one_hot_columns(layer: columns.OneHotColumns, node: Node, name: str) -> Any:
    def apply(x: Any) -> Any:
        vectors = [ops.one_hot(_ids(x, c, count), count, dtype=DTYPE) for c, count in layer.coded]
        return ops.concatenate([*_numbers(layer, x), *vectors], axis=1) if vectors else x

    return apply


class _Tables:
    """One Keras layer for each category."""

    def __init__(self, layer: columns.ColumnEmbedding, name: str) -> None:
        self.layer = layer
        self.natives = [
            keras.layers.Embedding(count, units, dtype=DTYPE, name=f"{name}_table{c}")
            for (c, count), units in zip(layer.coded, layer.widths(), strict=True)
        ]

    def __call__(self, x: Any) -> Any:
        coded = zip(self.natives, self.layer.coded, strict=True)
        vectors = [rows(_ids(x, c, count)) for rows, (c, count) in coded]
        return ops.concatenate([*_numbers(self.layer, x), *vectors], axis=1) if vectors else x

    def set_weights(self, weights: list[np.ndarray]) -> None:
        """Weights in canonical order: a table for each category."""
        for native, table in zip(self.natives, weights, strict=True):
            native.set_weights([table])


@stock(columns.ColumnEmbedding)
def _column_embedding(layer: columns.ColumnEmbedding, node: Node, name: str) -> Any:
    return _Tables(layer, name)
