"""Losses of how much two regions overlap, in TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from dlrun.backends.tensorflow.losses.lowered import LoweredLoss
from dlrun.backends.tensorflow.lowering import lowers
from dlrun.losses import overlap


@lowers(overlap.Dice)
class Dice(LoweredLoss):
    """Sums over the places of each sample and channel."""

    def total(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        samples, channels, smooth = tf.shape(x)[0], x.shape[-1], self.spec.smooth
        kept = self._kept(y)
        y = y if kept is None else tf.where(kept, y, tf.zeros_like(y))
        if y.dtype.is_integer and channels > 1:
            p, y = tf.nn.softmax(x, axis=-1), tf.one_hot(y, channels, dtype=self.dtype)
        else:
            p, y = tf.math.sigmoid(x), tf.cast(y, self.dtype)
        p, y = (tf.reshape(v, (samples, -1, channels)) for v in (p, y))
        if kept is not None:
            inside = tf.cast(tf.reshape(kept, (samples, -1, 1)), self.dtype)
            p, y = p * inside, y * inside
        shared = 2 * tf.reduce_sum(p * y, axis=1) + smooth
        values = 1 - shared / (tf.reduce_sum(p, axis=1) + tf.reduce_sum(y, axis=1) + smooth)
        values = tf.reduce_mean(values, axis=1)
        return tf.reduce_sum(values if kept is None else values * tf.cast(self._counted(kept), self.dtype))

    def weight(self, y: tf.Tensor) -> tf.Tensor:
        kept = self._kept(y)
        return super().weight(y) if kept is None else self.counted(self._counted(kept))

    def divided(self, total: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        return total / weight if self.spec.ignore_index is None else tf.math.divide_no_nan(total, weight)

    def _kept(self, y: tf.Tensor) -> tf.Tensor | None:
        return None if self.spec.ignore_index is None else y != self.spec.ignore_index

    def _counted(self, kept: tf.Tensor) -> tf.Tensor:
        """Whether a sample has any place that counts."""
        return tf.reduce_any(tf.reshape(kept, (tf.shape(kept)[0], -1)), axis=1)
