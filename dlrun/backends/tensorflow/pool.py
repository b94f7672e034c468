"""Pooling over windows and over whole feature maps."""

from __future__ import annotations

import itertools
import math

import tensorflow as tf

from dlrun.backends.tensorflow.lowering import Lowered, lowers
from dlrun.layers import pool
from dlrun.layers.conv import pads


@lowers(pool.MaxPool2D)
class MaxPooling2D(Lowered):
    """Largest value of each window.

    With ``sliced`` it is said with slices: under XLA TensorFlow has no reproducible gradient of its own kernel.
    """

    sliced = False

    def call(self, x_nhwc: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, H, W, C) -> (N, H', W', C)."""
        size, stride = self.layer.window()
        padding = self.layer.padding
        if not self.sliced:
            return tf.nn.max_pool2d(x_nhwc, ksize=size, strides=stride, padding=padding.upper(), data_format="NHWC")
        added = pads(tuple(x_nhwc.shape[1:3]), size, stride, (1, 1), padding)
        x_nhwc = tf.pad(x_nhwc, ((0, 0), *added, (0, 0)), mode="CONSTANT", constant_values=-math.inf)
        rows, columns, _ = self.node.output.shape
        largest = None
        for u, v in itertools.product(range(size[0]), range(size[1])):
            cells = x_nhwc[:, u : u + (rows - 1) * stride[0] + 1 : stride[0]]
            cells = cells[:, :, v : v + (columns - 1) * stride[1] + 1 : stride[1]]
            # Only a larger value replaces an earlier one, so that the first of equals has the gradient.
            largest = cells if largest is None else tf.where(cells > largest, cells, largest)
        return largest


@lowers(pool.AvgPool2D)
class AveragePooling2D(Lowered):
    """Mean of each window's real cells, which is what TensorFlow's SAME divides by."""

    def call(self, x_nhwc: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, H, W, C) -> (N, H', W', C)."""
        size, stride = self.layer.window()
        return tf.nn.avg_pool2d(
            x_nhwc, ksize=size, strides=stride, padding=self.layer.padding.upper(), data_format="NHWC"
        )


@lowers(pool.GlobalAvgPool2D)
class GlobalAveragePooling2D(Lowered):
    """Mean over height and width."""

    def call(self, x_nhwc: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, H, W, C) -> (N, C)."""
        return tf.reduce_mean(x_nhwc, axis=(1, 2), keepdims=False)


@lowers(pool.GlobalMaxPool2D)
class GlobalMaxPooling2D(Lowered):
    """Largest value over height and width; reduce_max shares the gradient among equal values."""

    def call(self, x_nhwc: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, H, W, C) -> (N, C)."""
        return tf.reduce_max(x_nhwc, axis=(1, 2), keepdims=False)
