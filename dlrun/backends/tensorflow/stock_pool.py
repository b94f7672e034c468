"""Pooling said with Keras' own layers and operations."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from dlrun.backends.tensorflow.stock import DTYPE, stock
from dlrun.backends.tensorflow.stock_conv import Steps, zero_padding
from dlrun.graph import Node
from dlrun.layers import pool, pool_whole
from dlrun.layers.window import Window


def _pooling(kind: str, window: Window, padding: str, name: str) -> keras.layers.Layer:
    return getattr(keras.layers, f"{kind}Pooling{len(window.size)}D")(
        window.size, strides=window.stride, padding=padding, data_format="channels_last", dtype=DTYPE, name=name
    )


@stock(pool.MaxPool1D, pool.MaxPool2D, pool.MaxPool3D)
def _max_pool(layer: pool.Pool, node: Node, name: str) -> Any:
    window, spatial = layer.window(), node.input_types[0].shape[: layer.rank]
    covered = window.covered(spatial)
    if not any(cells for pair in covered for cells in pair):
        return _pooling("Max", window, "valid", name)
    if window.padding == "same":
        return _pooling("Max", window, "same", name)
    around = ((0, 0), *covered, (0, 0))
    native = _pooling("Max", window, "valid", name)
    return Steps(native, lambda x: ops.pad(x, around, mode="constant", constant_values=-math.inf))


@stock(pool.AvgPool1D, pool.AvgPool2D, pool.AvgPool3D)
def _avg_pool(layer: pool.AvgPool, node: Node, name: str) -> Any:
    (x,) = node.input_types
    window, full = layer.window(), math.prod(layer.window().size)
    covered = window.covered(x.shape[: layer.rank])
    if not any(cells for pair in covered for cells in pair):
        return _pooling("Average", window, "valid", name)
    if window.padding == "same" and not layer.count_padding:
        return _pooling("Average", window, "same", name)
    share = keras.layers.Rescaling((full / layer.cells(x.shape)).tolist(), dtype=DTYPE, name=f"{name}_share")
    return Steps(_pooling("Average", window, "valid", name), zero_padding(covered, name), share)


def _adaptive(reduce: Any, layer: pool_whole.AdaptivePool, node: Node) -> Any:
    """Bin by bin: Keras' own layer is younger than the oldest Keras that is supported."""

    def apply(x: Any) -> Any:
        for axis, ranges in enumerate(layer.bins(node.input_types[0].shape[: layer.rank]), 1):
            before = (slice(None),) * axis
            bins = [reduce(x[(*before, slice(first, end))], axis=axis, keepdims=True) for first, end in ranges]
            x = ops.concatenate(bins, axis=axis)
        return x

    return apply


@stock(pool_whole.AdaptiveAvgPool1D, pool_whole.AdaptiveAvgPool2D, pool_whole.AdaptiveAvgPool3D)
def _adaptive_avg_pool(layer: pool_whole.AdaptivePool, node: Node, name: str) -> Any:
    window = layer.even(node.input_types[0].shape[: layer.rank])
    return _adaptive(ops.mean, layer, node) if window is None else _pooling("Average", window, "valid", name)


@stock(pool_whole.AdaptiveMaxPool1D, pool_whole.AdaptiveMaxPool2D, pool_whole.AdaptiveMaxPool3D)
def _adaptive_max_pool(layer: pool_whole.AdaptivePool, node: Node, name: str) -> Any:
    window = layer.even(node.input_types[0].shape[: layer.rank])
    return _adaptive(ops.max, layer, node) if window is None else _pooling("Max", window, "valid", name)


@stock(pool_whole.GlobalAvgPool1D, pool_whole.GlobalAvgPool2D, pool_whole.GlobalAvgPool3D)
def _global_avg_pool(layer: pool_whole.GlobalPool, node: Node, name: str) -> Any:
    if len(node.inputs) > 1:
        return _masked_mean
    kind = getattr(keras.layers, f"GlobalAveragePooling{layer.rank}D")
    return kind(data_format="channels_last", dtype=DTYPE, name=name)


@stock(pool_whole.GlobalMaxPool1D, pool_whole.GlobalMaxPool2D, pool_whole.GlobalMaxPool3D)
def _global_max_pool(layer: pool_whole.GlobalPool, node: Node, name: str) -> Any:
    if len(node.inputs) > 1:
        return _masked_max
    kind = getattr(keras.layers, f"GlobalMaxPooling{layer.rank}D")
    return kind(data_format="channels_last", dtype=DTYPE, name=name)


def _masked_mean(inputs: list[Any]) -> Any:
    x, mask = inputs
    kept = ops.expand_dims(ops.cast(ops.not_equal(mask, 0), DTYPE), axis=-1)
    return ops.sum(x * kept, axis=1) / ops.maximum(ops.sum(kept, axis=1), 1.0)


def _masked_max(inputs: list[Any]) -> Any:
    x, mask = inputs
    kept = ops.expand_dims(ops.not_equal(mask, 0), axis=-1)
    return ops.where(ops.any(kept, axis=1), ops.max(ops.where(kept, x, -math.inf), axis=1), 0.0)
