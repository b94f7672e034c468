"""Losses between distributions in TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from dlrun.backends.tensorflow.losses.lowered import LoweredLoss
from dlrun.backends.tensorflow.lowering import lowers
from dlrun.losses import distribution


@lowers(distribution.KLDivergence)
class KLDivergence(LoweredLoss):
    """sum p (log p - log_softmax(x)), with 0 log 0 = 0."""

    def total(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        p = tf.cast(y, self.dtype)
        return tf.reduce_sum(tf.math.xlogy(p, p) - p * tf.nn.log_softmax(x, axis=-1))

    def weight(self, y: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.size(y) // y.shape[-1], self.dtype)
