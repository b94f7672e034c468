"""Losses between directions and distances of vectors in TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from dlrun.backends.tensorflow.losses.lowered import LoweredLoss
from dlrun.backends.tensorflow.lowering import lowers
from dlrun.losses import similarity


@lowers(similarity.CosineSimilarity)
class CosineSimilarity(LoweredLoss):
    """Each vector divided by its length first; a vector that is too short has no gradient through its length."""

    def total(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        cosine = tf.reduce_sum(self._unit(x) * self._unit(tf.cast(y, self.dtype)), axis=-1)
        return tf.reduce_sum(1 - cosine)

    def _unit(self, v: tf.Tensor) -> tf.Tensor:
        square = tf.reduce_sum(v * v, axis=-1, keepdims=True)
        least = tf.constant(self.spec.epsilon, self.dtype)
        longer = square > least * least
        length = tf.sqrt(tf.where(longer, square, tf.ones_like(square)))
        return v / tf.where(longer, length, least)

    def weight(self, y: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.size(y) // y.shape[-1], self.dtype)


def distance(u: tf.Tensor, v: tf.Tensor) -> tf.Tensor:
    """Euclidean distance along the last axis."""
    gap = u - v + similarity.GAP
    return tf.sqrt(tf.reduce_sum(gap * gap, axis=-1))


@lowers(similarity.Contrastive)
class Contrastive(LoweredLoss):
    """y d^2 + (1 - y) relu(m - d)^2."""

    def total(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        d, same = distance(x[:, 0], x[:, 1]), tf.cast(y, self.dtype)
        apart = tf.nn.relu(self.spec.margin - d)
        return tf.reduce_sum(same * d * d + (1 - same) * apart * apart)


@lowers(similarity.Triplet)
class Triplet(LoweredLoss):
    """relu(d(a, p) - d(a, n) + m)."""

    def total(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        anchor, positive, negative = tf.unstack(x, axis=1)
        near, far = distance(anchor, positive), distance(anchor, negative)
        return tf.reduce_sum(tf.nn.relu(near - far + self.spec.margin))
