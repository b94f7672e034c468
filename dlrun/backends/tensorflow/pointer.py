"""Copying from a source."""

from __future__ import annotations

import math
from collections.abc import Sequence

import tensorflow as tf

from dlrun.backends.tensorflow.lowering import Lowered, lowers
from dlrun.layers import pointer

_LEAST = 1e-30
"""The smallest share that is copied; below it a logarithm's gradient would overflow."""


@lowers(pointer.AttentionScores)
class AttentionScores(Lowered):
    """Scaled dot products."""

    mixed = True

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Shapes: (N, T, C), (N, S, C) -> (N, T, S)."""
        query, key = inputs
        scale = tf.constant(1 / math.sqrt(query.shape[-1]), query.dtype)
        return tf.matmul(query, key, transpose_b=True) * scale


@lowers(pointer.PointerLogits)
class PointerLogits(Lowered):
    """Log-probabilities of a mixture of choosing and copying; in full precision under a mixed policy."""

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Shapes: logits (N, T, V), scores (N, T, S), gate (N, T, 1), ids (N, S), mask (N, S) -> (N, T, V)."""
        first, scores, gate, source, *mask = inputs
        logits, scores, gate = (tf.cast(x, self.variable_dtype) for x in (first, scores, gate))
        copied = self._copied(self._weights(scores, mask), source)
        chosen = tf.math.log_sigmoid(gate) + tf.nn.log_softmax(logits, axis=-1)
        some = copied > tf.constant(_LEAST, copied.dtype)
        pointed = tf.math.log_sigmoid(-gate) + tf.math.log(tf.where(some, copied, tf.ones_like(copied)))
        more = pointed - chosen
        # tf.maximum would give the whole gradient of a tie to one side
        both = tf.where(more > 0, pointed + tf.math.softplus(-more), chosen + tf.math.softplus(more))
        return tf.cast(tf.where(some, both, chosen), first.dtype)

    def _weights(self, scores: tf.Tensor, mask: list[tf.Tensor]) -> tf.Tensor:
        if not mask:
            return tf.nn.softmax(scores, axis=-1)
        kept = tf.cast(mask[0], tf.bool)[:, None, :]
        weights = tf.nn.softmax(tf.where(kept, scores, tf.constant(scores.dtype.min, scores.dtype)), axis=-1)
        return tf.where(kept, weights, tf.constant(0, weights.dtype))

    def _copied(self, weights: tf.Tensor, source: tf.Tensor) -> tf.Tensor:
        """Shares summed by id, if it is one of the vocabulary: (N, T, S), ids (N, S) -> (N, T, V)."""
        steps, vocabulary = self.node.output.shape
        inside = (source >= 0) & (source < vocabulary)  # any other would be an id of another sample
        weights = tf.where(inside[:, None, :], weights, tf.constant(0, weights.dtype))
        source = tf.where(inside, source, tf.zeros_like(source))
        samples = tf.shape(source, out_type=source.dtype)[0]
        segments = source + vocabulary * tf.range(samples, dtype=source.dtype)[:, None]
        by_source = tf.reshape(tf.transpose(weights, (0, 2, 1)), (-1, steps))
        nothing = tf.zeros(tf.stack((samples * vocabulary, tf.constant(steps, samples.dtype))), weights.dtype)
        summed = tf.tensor_scatter_nd_add(nothing, tf.reshape(segments, (-1, 1)), by_source)
        return tf.transpose(tf.reshape(summed, (-1, vocabulary, steps)), (0, 2, 1))
