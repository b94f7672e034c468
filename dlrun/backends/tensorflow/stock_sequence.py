"""Embeddings, positions, attention and copying, said with Keras' own layers and operations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from dlrun.backends.tensorflow.stock import DTYPE, stock
from dlrun.graph import Node
from dlrun.layers import attention, embedding, pointer, position

_LOW = -1e30


class _Holding:
    """A Keras layer within a function, which holds the weights.

    Args:
        native: The layer.
        apply: From the layer and the inputs to the output.
        arrange: From canonical weights to those of the layer.
    """

    def __init__(
        self,
        native: keras.layers.Layer,
        apply: Callable[[keras.layers.Layer, Any], Any],
        arrange: Callable[[np.ndarray], Sequence[np.ndarray]] = lambda w: [w],
    ) -> None:
        self.native, self.apply, self.arrange = native, apply, arrange

    def __call__(self, inputs: Any) -> Any:
        return self.apply(self.native, inputs)

    def set_weights(self, weights: list[np.ndarray]) -> None:
        self.native.set_weights(self.arrange(*weights))


@stock(embedding.Embedding)
def _embedding(layer: embedding.Embedding, node: Node, name: str) -> Any:
    native = keras.layers.Embedding(layer.vocabulary, layer.units, dtype=DTYPE, name=name)
    return _Holding(native, lambda rows, ids: rows(ids) * layer.multiplier if layer.multiplier != 1 else rows(ids))


@stock(embedding.EmbeddingLogits)
def _embedding_logits(layer: embedding.EmbeddingLogits, node: Node, name: str) -> Any:
    native = keras.layers.Dense(layer.vocabulary, use_bias=False, dtype=DTYPE, name=name)
    return _Holding(native, lambda dense, x: dense(x), lambda table: [table.T])


@stock(embedding.Bias)
def _bias(layer: embedding.Bias, node: Node, name: str) -> Any:
    native = keras.layers.BatchNormalization(axis=-1, epsilon=0.0, scale=False, dtype=DTYPE, name=name)

    def arrange(bias: np.ndarray) -> list[np.ndarray]:
        return [bias, np.zeros_like(bias), np.ones_like(bias)]  # its mean is 0, its variance 1

    return _Holding(native, lambda norm, x: norm(x), arrange)


@stock(embedding.PaddingMask)
def _padding_mask(layer: embedding.PaddingMask, node: Node, name: str) -> Any:
    return lambda ids: ops.cast(ops.not_equal(ids, layer.padding), "int32")


@stock(embedding.ShiftRight)
def _shift_right(layer: embedding.ShiftRight, node: Node, name: str) -> Any:
    return lambda ids: ops.concatenate([ops.full_like(ids[:, :1], layer.start), ids[:, :-1]], axis=1)


@stock(position.SinusoidalPosition)
def _sinusoidal_position(layer: position.SinusoidalPosition, node: Node, name: str) -> Any:
    table = layer.table(*node.output.shape).astype(DTYPE)
    return lambda x: ops.add(x, table)


@stock(position.LearnedPosition)
def _learned_position(layer: position.LearnedPosition, node: Node, name: str) -> Any:
    length, channels = node.output.shape
    native = keras.layers.Embedding(layer.length or length, channels, dtype=DTYPE, name=name)
    return _Holding(native, lambda rows, x: ops.add(x, rows(ops.cumsum(_zero_ids(x) + 1, axis=1) - 1)))


@stock(position.ClassToken)
def _class_token(layer: position.ClassToken, node: Node, name: str) -> Any:
    native = keras.layers.Embedding(1, node.output.shape[1], dtype=DTYPE, name=name)
    return _Holding(
        native, lambda rows, x: ops.concatenate([rows(_zero_ids(x)[:, :1]), x], axis=1), lambda token: [token[None]]
    )


def _zero_ids(x: Any) -> Any:
    """The id 0 for each step: (N, L, C) -> (N, L)."""
    return ops.cast(ops.zeros_like(x[:, :, 0]), "int32")


@stock(position.RotaryPosition)
def _rotary_position(layer: position.RotaryPosition, node: Node, name: str) -> Any:
    length, channels = node.output.shape
    units = channels // layer.heads
    angles = layer.angles(length, units)[:, None]
    cos, sin = np.cos(angles).astype(DTYPE), np.sin(angles).astype(DTYPE)
    pairs, axis = ((units // 2, 2), -1) if layer.interleaved else ((2, units // 2), -2)

    def turned(x: Any) -> Any:
        a, b = ops.unstack(ops.reshape(x, (-1, length, layer.heads, *pairs)), axis=axis)
        both = ops.stack([a * cos - b * sin, b * cos + a * sin], axis=axis)
        return ops.reshape(both, (-1, length, channels))

    return turned


@stock(attention.DotProductAttention)
def _dot_product_attention(layer: attention.DotProductAttention, node: Node, name: str) -> Any:
    groups = layer.kv_heads or layer.heads
    each, steps = layer.heads // groups, node.output.shape[0]
    keys = node.input_types[1].shape[0]
    scale = layer.factor(node.input_types[0])

    def split(x: Any, heads: int) -> Any:
        """(N, L, groups heads d) -> (N, groups, heads, L, d)."""
        length, units = x.shape[1], x.shape[2] // (groups * heads)
        return ops.transpose(ops.reshape(x, (-1, length, groups, heads, units)), (0, 2, 3, 1, 4))

    def apply(inputs: list[Any]) -> Any:
        query, key, value, *mask = inputs
        scores = ops.matmul(split(query, each), ops.swapaxes(split(key, 1), -1, -2)) * scale
        seen = np.tril(np.ones((steps, keys), DTYPE)) if layer.causal else np.ones((1, keys), DTYPE)
        kept = ops.cast(mask[0], DTYPE)[:, None, None, None, :] * seen if mask else seen
        weights = ops.softmax(scores + (1 - kept) * _LOW, axis=-1) * kept
        mixed = ops.transpose(ops.matmul(weights, split(value, 1)), (0, 3, 1, 2, 4))
        return ops.reshape(mixed, (-1, *node.output.shape))

    return apply


@stock(pointer.AttentionScores)
def _attention_scores(layer: pointer.AttentionScores, node: Node, name: str) -> Any:
    scale = 1 / math.sqrt(node.input_types[0].shape[1])
    return lambda inputs: ops.matmul(inputs[0], ops.swapaxes(inputs[1], -1, -2)) * scale


@stock(pointer.PointerLogits)
def _pointer_logits(layer: pointer.PointerLogits, node: Node, name: str) -> Any:
    def apply(inputs: list[Any]) -> Any:
        logits, scores, gate, source, *mask = inputs
        if mask:
            kept = ops.expand_dims(ops.cast(mask[0], DTYPE), 1)
            weights = ops.softmax(scores + (1 - kept) * _LOW, axis=-1) * kept
        else:
            weights = ops.softmax(scores, axis=-1)
        copied = ops.matmul(weights, ops.one_hot(source, node.output.shape[1], dtype=DTYPE))
        chosen = ops.log_sigmoid(gate) + ops.log_softmax(logits, axis=-1)
        some = ops.greater(copied, 1e-30)
        pointed = ops.log_sigmoid(-gate) + ops.log(ops.where(some, copied, 1.0))
        return ops.where(some, ops.logaddexp(chosen, pointed), chosen)

    return apply
