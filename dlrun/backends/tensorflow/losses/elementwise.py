"""Means over elements in TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from dlrun.backends.tensorflow.losses.lowered import LoweredLoss


class Elementwise(LoweredLoss):
    """A loss with a value for each element; see ``LoweredLoss``."""

    def values(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """The value of each element, of outputs and labels of one shape and format."""
        raise NotImplementedError

    def labels(self, y: tf.Tensor) -> tf.Tensor:
        """Labels as numbers."""
        return tf.cast(y, self.dtype)

    def total(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        y = tf.reshape(self.labels(y), tf.shape(x))
        if not self.spec.ignore_nan:
            return tf.reduce_sum(self.values(x, y))
        kept = ~tf.math.is_nan(y)
        values = self.values(x, tf.where(kept, y, tf.zeros_like(y)))
        return tf.reduce_sum(tf.where(kept, values, tf.zeros_like(values)))

    def weight(self, y: tf.Tensor) -> tf.Tensor:
        if self.spec.ignore_nan:
            return self.counted(~tf.math.is_nan(self.labels(y)))
        return tf.cast(tf.size(y), self.dtype)

    def divided(self, total: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        return tf.math.divide_no_nan(total, weight) if self.spec.ignore_nan else total / weight

    def objects(self, positives: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """Each sample's number of positives, at least 1, added up; samples without a label count nothing."""
        samples = tf.shape(y)[0]
        found = tf.math.count_nonzero(tf.reshape(positives, (samples, -1)), axis=1)
        found = tf.maximum(found, tf.ones_like(found))
        if self.spec.ignore_nan:
            silent = tf.reduce_all(tf.reshape(tf.math.is_nan(y), (samples, -1)), axis=1)
            found = tf.where(silent, tf.zeros_like(found), found)
        return tf.cast(tf.reduce_sum(found), self.dtype)
