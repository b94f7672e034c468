"""Losses for one of several classes in TensorFlow."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from dlrun.backends.tensorflow.losses.lowered import LoweredLoss
from dlrun.backends.tensorflow.lowering import lowers
from dlrun.losses import classification


class _Softmax(LoweredLoss):
    def weight(self, y: tf.Tensor) -> tf.Tensor:
        if not y.dtype.is_integer:
            y = tf.cast(y, self.dtype)
            return tf.reduce_sum(y if self.spec.class_weights is None else y * self.class_weights())
        if self.spec.class_weights is None:
            kept = self.kept(y)
            return tf.cast(tf.size(y), self.dtype) if kept is None else self.counted(kept)
        return tf.reduce_sum(self.weights(y))

    def divided(self, total: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        return tf.math.divide_no_nan(total, weight) if self.may_vanish else total / weight

    @property
    def may_vanish(self) -> bool:
        """Whether a batch's weights can add up to nothing."""
        return self.spec.class_weights is not None or self.spec.ignore_index is not None

    def class_weights(self) -> tf.Tensor:
        """(C,)."""
        return tf.constant(np.asarray(self.spec.class_weights, np.float64), self.dtype)

    def kept(self, y: tf.Tensor) -> tf.Tensor | None:
        """Where a class id counts; None where all do."""
        return None if self.spec.ignore_index is None else y != self.spec.ignore_index

    def ids(self, y: tf.Tensor) -> tf.Tensor:
        """Class ids, 0 where they are ignored."""
        kept = self.kept(y)
        return y if kept is None else tf.where(kept, y, tf.zeros_like(y))

    def weights(self, y: tf.Tensor) -> tf.Tensor:
        """The weight of each class id."""
        w = tf.gather(self.class_weights(), self.ids(y))
        kept = self.kept(y)
        return w if kept is None else tf.where(kept, w, tf.zeros_like(w))


@lowers(classification.SoftmaxCrossEntropy)
class SoftmaxCrossEntropy(_Softmax):
    """The sparse kernel where it says the same, else the sum written out."""

    def total(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        smoothing, classes = self.spec.label_smoothing, x.shape[-1]
        if y.dtype.is_integer:
            if x.shape.rank > 2:
                x, y = tf.reshape(x, (-1, classes)), tf.reshape(y, (-1,))
            if self.spec.class_weights is None and smoothing == 0 and not self.exact:
                return self._sparse(x, y)
            wanted = tf.one_hot(self.ids(y), classes, dtype=self.dtype)
            kept = self.kept(y)
            if kept is not None:
                wanted *= tf.cast(kept, self.dtype)[:, None]
        else:
            wanted = tf.cast(y, self.dtype)
        weighted = wanted if self.spec.class_weights is None else wanted * self.class_weights()
        if smoothing:
            # the share that is spread over all classes, each with its own weight
            spread = tf.reduce_sum(wanted, axis=-1, keepdims=True) * (smoothing / classes)
            spread = spread if self.spec.class_weights is None else spread * self.class_weights()
            weighted = weighted * (1 - smoothing) + spread
        return -tf.reduce_sum(weighted * tf.nn.log_softmax(x, axis=-1))

    def _sparse(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        values, _ = tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits(features=x, labels=self.ids(y))
        kept = self.kept(y)
        return tf.reduce_sum(values if kept is None else tf.where(kept, values, tf.zeros_like(values)))

    def part(self, x: tf.Tensor, y: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        total = self.total(x, y)
        return self.divided(total, weight) if y.dtype.is_integer else tf.math.divide_no_nan(total, weight)


@lowers(classification.SoftmaxFocal)
class SoftmaxFocal(_Softmax):
    """With log(1 - p) from the other classes' log-probabilities."""

    def total(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        shares = tf.nn.log_softmax(x, axis=-1)
        own = tf.one_hot(self.ids(y), x.shape[-1], on_value=True, off_value=False, dtype=tf.bool)
        never = tf.constant(-np.inf, self.dtype)
        wrong = tf.reduce_logsumexp(tf.where(own, never, shares), axis=-1)
        values = -tf.exp(self.spec.gamma * wrong) * tf.reduce_sum(tf.where(own, shares, tf.zeros_like(shares)), axis=-1)
        if self.spec.class_weights is not None:
            return tf.reduce_sum(values * self.weights(y))
        kept = self.kept(y)
        return tf.reduce_sum(values if kept is None else tf.where(kept, values, tf.zeros_like(values)))
