"""Layers that only rearrange or pick out; TensorFlow's layout is the canonical one."""

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


@lowers(shape.Permute)
class Permute(Lowered):
    """The axes in another order."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        order = self.layer.order(self.node.input_types[0])
        return tf.transpose(x, perm=(0, *(axis + 1 for axis in order)), conjugate=False)


@lowers(shape.Slice)
class Slice(Lowered):
    """A stretch of one axis."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, *, n, *) -> (N, *, m, *)."""
        axis, start, stop = self.layer.span(self.node.input_types[0])
        return x[(slice(None),) * (axis + 1) + (slice(start, stop, self.layer.step),)]
