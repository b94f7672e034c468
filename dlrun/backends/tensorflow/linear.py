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
        """Shapes: (N, F) -> (N, units); (N, L, F) -> (N, L, units)."""
        rows = x if x.shape.rank == 2 else tf.reshape(x, (-1, x.shape[-1]))
        y = tf.matmul(rows, self.kernel.value)
        y = tf.nn.bias_add(y, self.bias.value) if self.layer.bias else y
        return y if x.shape.rank == 2 else tf.reshape(y, (-1, *self.node.output.shape))
