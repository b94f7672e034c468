"""Losses as two sums, so that micro-batches add up to the whole batch."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from dlrun import losses
from dlrun.backends.tensorflow.lowering import lowering, lowers


class LoweredLoss:
    """A loss as operations; its value is ``total / weight``.

    Args:
        spec: The description.
        dtype: Format of outputs and sums, float32 or float64.
        exact: Whether only kernels that are reproducible on a GPU may be used.
    """

    def __init__(self, spec: losses.Loss, dtype: str, exact: bool) -> None:
        self.spec = spec
        self.dtype = tf.as_dtype(dtype)
        self.exact = exact

    def total(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """Weighted sum of values for outputs x and targets y."""
        raise NotImplementedError

    def divided(self, total: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        """The loss: by default no weight can be zero."""
        return total / weight

    def weight(self, y: tf.Tensor) -> tf.Tensor:
        """Sum of weights: by default 1 for each number in the targets."""
        return tf.cast(tf.size(y), self.dtype)


def lower_loss(spec: losses.Loss, dtype: str, exact: bool) -> LoweredLoss:
    """The operations of a recipe's loss."""
    return lowering(type(spec))(spec, dtype, exact)


@lowers(losses.SoftmaxCrossEntropy)
class SoftmaxCrossEntropy(LoweredLoss):
    """Logits (N, C), class ids (N,)."""

    def total(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        smoothing = self.spec.label_smoothing
        if self.spec.class_weights is None and smoothing == 0 and not self.exact:
            values, _ = tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits(features=x, labels=y)
            return tf.reduce_sum(values)
        classes = x.shape[-1]
        wanted = tf.one_hot(y, classes, dtype=self.dtype) * (1 - smoothing) + smoothing / classes
        if self.spec.class_weights is not None:
            c = self._class_weights()
            wanted = tf.gather(c, y)[:, None] * tf.one_hot(y, classes, dtype=self.dtype) * (1 - smoothing)
            wanted += c * (smoothing / classes)
        return -tf.reduce_sum(wanted * tf.nn.log_softmax(x, axis=-1))

    def weight(self, y: tf.Tensor) -> tf.Tensor:
        if self.spec.class_weights is None:
            return super().weight(y)
        return tf.reduce_sum(tf.gather(self._class_weights(), y))

    def divided(self, total: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        if self.spec.class_weights is None:
            return super().divided(total, weight)
        return tf.math.divide_no_nan(total, weight)

    def _class_weights(self) -> tf.Tensor:
        return tf.constant(np.asarray(self.spec.class_weights, np.float64), self.dtype)


@lowers(losses.BinaryCrossEntropy)
class BinaryCrossEntropy(LoweredLoss):
    """Logits (N, K), labels (N, K); or logits (N, 1), class ids (N,)."""

    def total(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        # Said with softplus, whose gradient is right at 0; that of tf.nn.weighted_cross_entropy_with_logits is not.
        y = tf.reshape(tf.cast(y, self.dtype), tf.shape(x))
        return tf.reduce_sum(self.spec.pos_weight * y * tf.math.softplus(-x) + (1 - y) * tf.math.softplus(x))


@lowers(losses.MeanSquaredError)
class MeanSquaredError(LoweredLoss):
    """Outputs (N, *), targets (N, *); or outputs (N, 1), targets (N,)."""

    def total(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(tf.math.squared_difference(x, tf.reshape(tf.cast(y, self.dtype), tf.shape(x))))
