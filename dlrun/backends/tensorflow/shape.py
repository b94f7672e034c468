"""Layers that only rearrange; TensorFlow's layout is the canonical one."""

from __future__ import annotations

import tensorflow as tf

from dlrun.backends.tensorflow.lowering import Lowered, lowers
from dlrun.layers import shape


class _Rearranged(Lowered):
    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.reshape(x, (-1, *self.node.output.shape))


@lowers(shape.Flatten)
class Flatten(_Rearranged):
    """All axes but the batch in one."""


@lowers(shape.Reshape)
class Reshape(_Rearranged):
    """Another shape for the same elements."""
