"""Activations of straight or simple pieces, one with learned slopes."""

from __future__ import annotations

import tensorflow as tf

from dlrun.backends.tensorflow.lowering import Lowered, lowers
from dlrun.layers import piecewise


@lowers(piecewise.Identity)
class Identity(Lowered):
    """Nothing."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.identity(x)


@lowers(piecewise.Abs)
class Abs(Lowered):
    """Absolute value."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.abs(x)


@lowers(piecewise.SquaredReLU)
class SquaredReLU(Lowered):
    """max(x, 0)^2."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.square(tf.nn.relu(x))


@lowers(piecewise.HardTanh)
class HardTanh(Lowered):
    """min(max(x, low), high)."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.clip_by_value(x, self.layer.low, self.layer.high)


@lowers(piecewise.PReLU)
class PReLU(Lowered):
    """x above zero, else its slope times x."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, *, C) -> (N, *, C)."""
        return tf.where(x > 0, x, tf.cast(self.slope.value, x.dtype) * x)
