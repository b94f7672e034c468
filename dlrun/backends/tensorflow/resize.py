"""Maps made larger or smaller by interpolation."""

from __future__ import annotations

import math

import tensorflow as tf

from dlrun.backends.tensorflow.lowering import Lowered, lowers
from dlrun.layers import resize


@lowers(resize.Resize)
class Resize(Lowered):
    """Interpolation, one axis after the other.

    TensorFlow's own bilinear kernel reads images only and answers in float32, so everything else is said with
    matrices. Its nearest kernel rounds in float32, so cells are picked by number where the factor is not whole.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, *old, C) -> (N, *new, C)."""
        layer = self.layer
        old, new = self.node.input_types[0].shape[:-1], self.node.output.shape[:-1]
        if layer.method == "nearest":
            return self._nearest(x, old, new)
        if len(old) == 2 and x.dtype != tf.float64:
            y = tf.raw_ops.ResizeBilinear(
                images=x, size=new, align_corners=layer.align_corners, half_pixel_centers=not layer.align_corners
            )
            return tf.cast(y, x.dtype)
        shape = [*old, x.shape[-1]]
        for axis, (n, m) in enumerate(zip(old, new, strict=True)):
            if n != m:
                weights = tf.constant(resize.matrix(n, m, "bilinear", layer.align_corners), x.dtype)
                x = tf.matmul(weights, tf.reshape(x, (-1, n, math.prod(shape[axis + 1 :]))))
            shape[axis] = m
        return tf.reshape(x, (-1, *shape))

    def _nearest(self, x: tf.Tensor, old: tuple[int, ...], new: tuple[int, ...]) -> tf.Tensor:
        for axis, (n, m) in enumerate(zip(old, new, strict=True), 1):
            if m % n == 0:
                x = tf.repeat(x, m // n, axis=axis) if m > n else x
            else:
                x = tf.gather(x, resize.nearest_cells(n, m), axis=axis)
        return x
