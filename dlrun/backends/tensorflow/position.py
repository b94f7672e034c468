"""Positions and the class token."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from dlrun.backends.tensorflow.lowering import Lowered, lowers
from dlrun.layers import position


@lowers(position.SinusoidalPosition)
class SinusoidalPosition(Lowered):
    """A constant table added."""

    mixed = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, L, C) -> (N, L, C)."""
        return x + tf.constant(self.layer.table(*self.node.output.shape), x.dtype)


@lowers(position.LearnedPosition)
class LearnedPosition(Lowered):
    """The first rows of a learned table added."""

    mixed = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, L, C) -> (N, L, C)."""
        return x + self.table.value[: self.node.output.shape[0]]


@lowers(position.RotaryPosition)
class RotaryPosition(Lowered):
    """Pairs of channels turned, in each head."""

    mixed = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, L, heads d) -> (N, L, heads d)."""
        layer, (length, channels) = self.layer, self.node.output.shape
        units = channels // layer.heads
        angles = layer.angles(length, units)[:, None]
        cos, sin = tf.constant(np.cos(angles), x.dtype), tf.constant(np.sin(angles), x.dtype)
        pairs, axis = ((units // 2, 2), -1) if layer.interleaved else ((2, units // 2), -2)
        a, b = tf.unstack(tf.reshape(x, (-1, length, layer.heads, *pairs)), axis=axis)
        turned = tf.stack((a * cos - b * sin, b * cos + a * sin), axis=axis)
        return tf.reshape(turned, (-1, length, channels))


@lowers(position.ClassToken)
class ClassToken(Lowered):
    """A learned step put first."""

    mixed = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, L, C) -> (N, L + 1, C)."""
        token = tf.broadcast_to(self.token.value, (tf.shape(x)[0], 1, x.shape[-1]))
        return tf.concat((token, x), axis=1)
