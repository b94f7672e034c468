"""Multiplication by learned or fixed numbers; the input keeps its number format under a mixed policy."""

from __future__ import annotations

import tensorflow as tf

from dlrun.backends.tensorflow.lowering import Lowered, lowers
from dlrun.layers import scale


@lowers(scale.Scale)
class Scale(Lowered):
    """A learned factor for each channel, and an offset if there is one."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, *, C) -> (N, *, C)."""
        y = x * tf.cast(self.scale.value, x.dtype)
        return y + tf.cast(self.shift.value, x.dtype) if self.layer.shift else y


@lowers(scale.ScaleBy)
class ScaleBy(Lowered):
    """A fixed factor and offset."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, *) -> (N, *)."""
        y = x * tf.constant(self.layer.factor, x.dtype)
        return y + tf.constant(self.layer.offset, x.dtype) if self.layer.offset else y
