"""Pooling over windows and over whole feature maps."""

from __future__ import annotations

import tensorflow as tf

from dlrun.backends.tensorflow.lowering import Lowered, lowers
from dlrun.layers import pool


@lowers(pool.MaxPool2D)
class MaxPooling2D(Lowered):
    """Largest value of each window."""

    def call(self, x_nhwc: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, H, W, C) -> (N, H', W', C)."""
        size, stride = self.layer.window()
        return tf.nn.max_pool2d(
            x_nhwc, ksize=size, strides=stride, padding=self.layer.padding.upper(), data_format="NHWC"
        )


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
