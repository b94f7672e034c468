"""Fully connected layers."""

from __future__ import annotations

import tensorflow as tf

from dlrun.backends.tensorflow.lowering import Lowered, lowers
from dlrun.layers import linear


@lowers(linear.Dense)
class Dense(Lowered):
    """x W + b."""

    mixed = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, F) -> (N, units)."""
        y = tf.matmul(x, self.kernel.value)
        return tf.nn.bias_add(y, self.bias.value) if self.layer.bias else y
