"""Recurrent layers said with Keras' own."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from dlrun.backends.tensorflow.stock import DTYPE, stock
from dlrun.graph import Node
from dlrun.layers import recurrent


@stock(recurrent.LSTM, recurrent.GRU, recurrent.SimpleRNN)
class _Recurrent:
    """A Keras recurrent layer, both ways if asked to, its output cleared past each sequence's end.

    Args:
        layer: The description.
        node: Its place in the graph.
        name: Of the Keras layer.
    """

    def __init__(self, layer: recurrent.Recurrent, node: Node, name: str) -> None:
        self.layer = layer
        fields: dict[str, Any] = {"return_sequences": layer.return_sequences, "dtype": DTYPE}
        if isinstance(layer, recurrent.LSTM):
            inner = keras.layers.LSTM(layer.units, **fields)
        elif isinstance(layer, recurrent.GRU):
            inner = keras.layers.GRU(layer.units, reset_after=True, **fields)
        else:
            assert isinstance(layer, recurrent.SimpleRNN)
            inner = keras.layers.SimpleRNN(layer.units, activation=layer.nonlinearity, **fields)
        self.native = inner
        if layer.bidirectional:
            self.native = keras.layers.Bidirectional(inner, merge_mode="concat", dtype=DTYPE, name=name)
        else:
            inner.name = name

    def __call__(self, inputs: Any) -> Any:
        if not isinstance(inputs, list):
            return self.native(inputs)
        x, mask = inputs
        steps = ops.sum(mask, axis=1, keepdims=True)
        kept = ops.less(ops.cumsum(ops.ones_like(mask), axis=1) - 1, steps)
        output = self.native(x, mask=kept)
        if not self.layer.return_sequences:
            return output
        return ops.multiply(output, ops.cast(ops.expand_dims(kept, -1), DTYPE))

    def set_weights(self, weights: list[np.ndarray]) -> None:
        if not isinstance(self.layer, recurrent.GRU):
            self.native.set_weights(weights)
            return
        ordered = []
        for kernel, recurrent_kernel, bias, recurrent_bias in zip(*[iter(weights)] * 4, strict=True):
            ordered += [_zrn(kernel), _zrn(recurrent_kernel), _zrn(np.stack([bias, recurrent_bias]))]
        self.native.set_weights(ordered)


def _zrn(blocks: np.ndarray) -> np.ndarray:
    """Blocks r, z, n in Keras' order."""
    r, z, n = np.split(blocks, 3, axis=-1)
    return np.concatenate([z, r, n], axis=-1)


@stock(recurrent.Last)
def _last(layer: recurrent.Last, node: Node, name: str) -> Any:
    return last


def last(inputs: Any) -> Any:
    """The last step within each sequence."""
    if not isinstance(inputs, list):
        return inputs[:, -1]
    x, mask = inputs
    steps = ops.sum(mask, axis=1, keepdims=True)
    chosen = ops.equal(ops.cumsum(ops.ones_like(mask), axis=1), steps)
    return ops.sum(ops.multiply(x, ops.cast(ops.expand_dims(chosen, -1), DTYPE)), axis=1)
