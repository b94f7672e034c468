"""Pooling to a fixed number of cells, or to one."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from dlrun.backends.tensorflow.lowering import Lowered, lowers
from dlrun.backends.tensorflow.pool import MaxPooling
from dlrun.backends.tensorflow.pool_forms import largest, largest_of_bins, mean, means_of_bins
from dlrun.layers import pool_whole


class _AdaptiveAverage(Lowered):
    """Means of a fixed number of boxes."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, *, C) -> (N, *size, C)."""
        spatial = tuple(x.shape[1:-1])
        window = self.layer.even(spatial)
        if window is None:
            return means_of_bins(x, self.layer.bins(spatial))
        if window.size == spatial:
            return tf.reduce_mean(x, axis=tuple(range(1, len(spatial) + 1)), keepdims=True)
        cells = np.full((*window.positions(spatial), 1), float(math.prod(window.size)))
        return mean(x, window, cells, count_padding=False)


class _AdaptiveMax(MaxPooling):
    """Largest values of a fixed number of boxes."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, *, C) -> (N, *size, C)."""
        spatial = tuple(x.shape[1:-1])
        window = self.layer.even(spatial)
        if window is None:
            return largest_of_bins(x, self.layer.bins(spatial))
        return largest(x, window, self.sliced)


@lowers(pool_whole.AdaptiveAvgPool1D)
class AdaptiveAveragePooling1D(_AdaptiveAverage):
    """Along a sequence."""


@lowers(pool_whole.AdaptiveAvgPool2D)
class AdaptiveAveragePooling2D(_AdaptiveAverage):
    """Over an image."""


@lowers(pool_whole.AdaptiveAvgPool3D)
class AdaptiveAveragePooling3D(_AdaptiveAverage):
    """Over a volume."""


@lowers(pool_whole.AdaptiveMaxPool1D)
class AdaptiveMaxPooling1D(_AdaptiveMax):
    """Along a sequence."""


@lowers(pool_whole.AdaptiveMaxPool2D)
class AdaptiveMaxPooling2D(_AdaptiveMax):
    """Over an image."""


@lowers(pool_whole.AdaptiveMaxPool3D)
class AdaptiveMaxPooling3D(_AdaptiveMax):
    """Over a volume."""


class _GlobalAverage(Lowered):
    """Mean over the spatial axes, of the positions that a mask keeps."""

    def call(self, inputs: tf.Tensor | list[tf.Tensor]) -> tf.Tensor:
        """Shapes: (N, *, C), optionally with a mask (N, L) -> (N, C)."""
        if not isinstance(inputs, (list, tuple)):
            return tf.reduce_mean(inputs, axis=tuple(range(1, self.layer.rank + 1)), keepdims=False)
        x, kept = inputs[0], tf.not_equal(inputs[1], 0)[..., None]
        total = tf.reduce_sum(tf.where(kept, x, tf.zeros((), x.dtype)), axis=1, keepdims=False)
        count = tf.reduce_sum(tf.cast(kept, x.dtype), axis=1, keepdims=False)
        return total / tf.maximum(count, tf.ones((), x.dtype))


class _GlobalMax(Lowered):
    """Largest value over the spatial axes, of the positions that a mask keeps; equal values share the gradient."""

    def call(self, inputs: tf.Tensor | list[tf.Tensor]) -> tf.Tensor:
        """Shapes: (N, *, C), optionally with a mask (N, L) -> (N, C)."""
        if not isinstance(inputs, (list, tuple)):
            return tf.reduce_max(inputs, axis=tuple(range(1, self.layer.rank + 1)), keepdims=False)
        x, kept = inputs[0], tf.not_equal(inputs[1], 0)[..., None]
        found = tf.reduce_max(tf.where(kept, x, tf.constant(-math.inf, x.dtype)), axis=1, keepdims=False)
        return tf.where(tf.reduce_any(kept, axis=1, keepdims=False), found, tf.zeros((), x.dtype))


@lowers(pool_whole.GlobalAvgPool1D)
class GlobalAveragePooling1D(_GlobalAverage):
    """Over a sequence."""


@lowers(pool_whole.GlobalAvgPool2D)
class GlobalAveragePooling2D(_GlobalAverage):
    """Over an image."""


@lowers(pool_whole.GlobalAvgPool3D)
class GlobalAveragePooling3D(_GlobalAverage):
    """Over a volume."""


@lowers(pool_whole.GlobalMaxPool1D)
class GlobalMaxPooling1D(_GlobalMax):
    """Over a sequence."""


@lowers(pool_whole.GlobalMaxPool2D)
class GlobalMaxPooling2D(_GlobalMax):
    """Over an image."""


@lowers(pool_whole.GlobalMaxPool3D)
class GlobalMaxPooling3D(_GlobalMax):
    """Over a volume."""
