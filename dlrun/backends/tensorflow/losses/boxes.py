"""Losses of how much two boxes overlap, in TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from dlrun.backends.tensorflow.losses.lowered import LoweredLoss
from dlrun.backends.tensorflow.lowering import lowers
from dlrun.losses import boxes


def area(box: tf.Tensor) -> tf.Tensor:
    """Width times height; 0 for a box that is turned inside out."""
    size = tf.nn.relu(box[..., 2:] - box[..., :2])
    return size[..., 0] * size[..., 1]


def larger(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """The maximum, without a gradient for x where both are equal; TensorFlow's gives it all of it."""
    return tf.where(x > y, x, y)


def smaller(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """The minimum, without a gradient for x where both are equal."""
    return tf.where(x < y, x, y)


@lowers(boxes.IoU)
class IoU(LoweredLoss):
    """1 - I / (U + e)."""

    def overlap(self, x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Areas of the intersection and of the union."""
        shared = area(tf.concat([larger(x[..., :2], y[..., :2]), smaller(x[..., 2:], y[..., 2:])], axis=-1))
        return shared, area(x) + area(y) - shared

    def values(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """The value of each pair of boxes."""
        shared, union = self.overlap(x, y)
        return 1 - shared / (union + self.spec.epsilon)

    def total(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        y = tf.cast(y, self.dtype)
        values = self.values(x, y)
        return tf.reduce_sum(tf.where(area(y) > 0, values, tf.zeros_like(values)))

    def weight(self, y: tf.Tensor) -> tf.Tensor:
        return self.counted(area(tf.cast(y, self.dtype)) > 0)

    def divided(self, total: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        return tf.math.divide_no_nan(total, weight)


@lowers(boxes.GIoU)
class GIoU(IoU):
    """1 - I / (U + e) + (H - U) / (H + e)."""

    def values(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        shared, union = self.overlap(x, y)
        hull = area(tf.concat([smaller(x[..., :2], y[..., :2]), larger(x[..., 2:], y[..., 2:])], axis=-1))
        epsilon = self.spec.epsilon
        return 1 - shared / (union + epsilon) + (hull - union) / (hull + epsilon)
