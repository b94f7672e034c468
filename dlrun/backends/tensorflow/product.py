"""Products of two inputs that sum over an axis."""

from __future__ import annotations

import tensorflow as tf

from dlrun.backends.tensorflow.lowering import Lowered, lowers
from dlrun.layers import product


@lowers(product.MatMul)
class MatMul(Lowered):
    """Matrix product over the last two axes."""

    mixed = True

    def call(self, xs: list[tf.Tensor]) -> tf.Tensor:
        """Shapes: (N, *, I, K), (N, *, K, J) -> (N, *, I, J)."""
        layer = self.layer
        return tf.matmul(xs[0], xs[1], transpose_a=layer.transpose_first, transpose_b=layer.transpose_second)


@lowers(product.Dot)
class Dot(Lowered):
    """Scalar product over the last axis, or the cosine; in full precision under a mixed policy."""

    def call(self, xs: list[tf.Tensor]) -> tf.Tensor:
        """Shapes: (N, *, C), (N, *, C) -> (N, *, 1)."""
        a, b = (tf.cast(x, self.variable_dtype) for x in xs)
        y = tf.reduce_sum(a * b, axis=-1, keepdims=True)
        if self.layer.normalize:
            y = y / (self._length(a) * self._length(b))
        return tf.cast(y, xs[0].dtype)

    def _length(self, x: tf.Tensor) -> tf.Tensor:
        # The root of a clamped square, as a root has no gradient at 0.
        square = tf.reduce_sum(x * x, axis=-1, keepdims=True)
        return tf.sqrt(tf.maximum(square, tf.constant(self.layer.epsilon**2, x.dtype)))
