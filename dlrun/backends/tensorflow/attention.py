"""Attention with plain operations, its weights in full view."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from dlrun.backends.tensorflow.dropout import Drawing
from dlrun.backends.tensorflow.lowering import lowers
from dlrun.layers import attention


@lowers(attention.DotProductAttention)
class DotProductAttention(Drawing):
    """Values averaged by how well each key fits the query."""

    mixed = True

    def call(self, inputs: Sequence[tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Shapes: query (N, T, heads d), keys (N, S, groups d), values (N, S, groups e), mask (N, S) ->
        (N, T, heads e)."""
        query, key, value, *mask = inputs
        layer = self.layer
        groups = layer.kv_heads or layer.heads
        each = layer.heads // groups
        # The query heads that share keys lie in a row: as more queries of the same head.
        q_ngxtd = _split(query * tf.constant(layer.factor(self.node.input_types[0]), query.dtype), groups, each)
        k_ngsd, v_ngse = (_split(x, groups, 1) for x in (key, value))
        scores = tf.matmul(q_ngxtd, k_ngsd, transpose_b=True)
        weights = self._weights(scores, mask[0] if mask else None, each)
        if training and layer.dropout:
            weights = self._dropped(weights)
        mixed = tf.matmul(weights, v_ngse)
        steps = self.node.output.shape[0]
        per_head = tf.reshape(mixed, (-1, groups * each, steps, mixed.shape[-1]))
        return tf.reshape(tf.transpose(per_head, (0, 2, 1, 3)), (-1, *self.node.output.shape))

    def _weights(self, scores: tf.Tensor, mask: tf.Tensor | None, each: int) -> tf.Tensor:
        """Softmax over the keys that are kept, 0 where none is: (N, groups, each T, S)."""
        if mask is None and not self.layer.causal:
            return tf.nn.softmax(scores, axis=-1)
        steps, keys = self.node.output.shape[0], scores.shape[-1]
        seen = np.tril(np.ones((steps, keys), bool)) if self.layer.causal else np.ones((1, keys), bool)
        kept = tf.constant(np.tile(seen, (each, 1)) if self.layer.causal else seen)
        if mask is not None:
            kept = tf.logical_and(kept, tf.cast(mask, tf.bool)[:, None, None, :])
        weights = tf.nn.softmax(tf.where(kept, scores, tf.constant(scores.dtype.min, scores.dtype)), axis=-1)
        if mask is None:
            return weights  # a step always sees itself
        return tf.where(kept, weights, tf.constant(0, weights.dtype))

    def _dropped(self, weights: tf.Tensor) -> tf.Tensor:
        flat = tf.reshape(weights, (-1, weights.shape[1] * weights.shape[2] * weights.shape[3]))
        return tf.reshape(self.draws.apply(flat, self.layer.dropout, self.index), tf.shape(weights))


def _split(x: tf.Tensor, groups: int, each: int) -> tf.Tensor:
    """(N, L, groups each d) -> (N, groups, each L, d)."""
    length, units = x.shape[1], x.shape[2] // (groups * each)
    x = tf.reshape(x, (-1, length, groups, each, units)) if each > 1 else tf.reshape(x, (-1, length, groups, units))
    axes = (0, 2, 3, 1, 4) if each > 1 else (0, 2, 1, 3)
    return tf.reshape(tf.transpose(x, axes), (-1, groups, each * length, units))
