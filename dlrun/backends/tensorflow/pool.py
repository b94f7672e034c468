"""Pooling over windows."""

from __future__ import annotations

import tensorflow as tf

from dlrun.backends.tensorflow.lowering import Lowered, lowers
from dlrun.backends.tensorflow.pool_forms import largest, mean
from dlrun.layers import pool


class MaxPooling(Lowered):
    """Largest value of each window.

    With ``sliced`` it is said with slices: under XLA TensorFlow has no reproducible gradient of its own kernel.
    """

    sliced = False

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, *, C) -> (N, *, C)."""
        return largest(x, self.layer.window(), self.sliced)


class AveragePooling(Lowered):
    """Mean of each window."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, *, C) -> (N, *, C)."""
        layer: pool.AvgPool = self.layer
        return mean(x, layer.window(), layer.cells(tuple(x.shape[1:])), layer.count_padding)


@lowers(pool.MaxPool1D)
class MaxPooling1D(MaxPooling):
    """Along a sequence."""


@lowers(pool.MaxPool2D)
class MaxPooling2D(MaxPooling):
    """Over an image."""


@lowers(pool.MaxPool3D)
class MaxPooling3D(MaxPooling):
    """Over a volume."""


@lowers(pool.AvgPool1D)
class AveragePooling1D(AveragePooling):
    """Along a sequence."""


@lowers(pool.AvgPool2D)
class AveragePooling2D(AveragePooling):
    """Over an image."""


@lowers(pool.AvgPool3D)
class AveragePooling3D(AveragePooling):
    """Over a volume."""
