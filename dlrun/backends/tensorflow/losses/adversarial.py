"""The losses of two networks trained against each other, in TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from dlrun.backends.tensorflow.losses.lowered import LoweredLoss
from dlrun.backends.tensorflow.lowering import lowers
from dlrun.losses import adversarial


@lowers(adversarial.Adversarial)
class Adversarial(LoweredLoss):
    """Said with softplus, whose gradient is right at 0."""

    def total(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        q = self.spec.label
        values = q * tf.math.softplus(-x) + (1 - q) * tf.math.softplus(x)
        return tf.reduce_sum(values) / tf.cast(tf.reduce_prod(tf.shape(x)[1:]), self.dtype)
