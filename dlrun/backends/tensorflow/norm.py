"""Normalisation; statistics and weights keep full precision under a mixed policy."""

from __future__ import annotations

import math

import tensorflow as tf

from dlrun.backends.tensorflow.lowering import Lowered, lowers
from dlrun.layers import norm


@lowers(norm.BatchNorm)
class BatchNormalization(Lowered):
    """Batch normalisation with the unbiased variance in the running statistics.

    The fused kernel, which has no float64, moves the running statistics as the graph defines;
    float64 is said with plain operations.
    """

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Shapes: (N, *, C) -> (N, *, C)."""
        if self.variable_dtype == "float64":
            return self._trained(x) if training else self._scaled(x, self.mean.value, self.variance.value)
        return self._fused(x, bool(training))

    def _fused(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        cells = math.prod(self.node.output.shape[:-1])
        x_nhwc = tf.reshape(x, (-1, 1, cells, x.shape[-1])) if x.shape.rank != 4 else x
        y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x_nhwc,
            scale=self.scale.value,
            offset=self.shift.value,
            mean=self.mean.value,
            variance=self.variance.value,
            epsilon=self.layer.epsilon,
            exponential_avg_factor=self.layer.momentum if training else 1.0,
            data_format="NHWC",
            is_training=training,
        )
        if training:
            self.mean.assign(mean)
            self.variance.assign(variance)
        return tf.reshape(y, (-1, *self.node.output.shape)) if x.shape.rank != 4 else y

    def _trained(self, x: tf.Tensor) -> tf.Tensor:
        k = self.layer.momentum
        mean, variance = tf.nn.moments(x, axes=tuple(range(x.shape.rank - 1)), keepdims=False)
        count = tf.cast(tf.size(x) // x.shape[-1], x.dtype)
        self.mean.assign((1 - k) * self.mean.value + k * mean)
        self.variance.assign((1 - k) * self.variance.value + k * variance * (count / (count - 1)))
        return self._scaled(x, mean, variance)

    def _scaled(self, x: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor) -> tf.Tensor:
        return tf.nn.batch_normalization(
            x, mean, variance, offset=self.shift.value, scale=self.scale.value, variance_epsilon=self.layer.epsilon
        )


@lowers(norm.LayerNorm)
class LayerNormalization(Lowered):
    """Layer normalisation over the last axis."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, *, C) -> (N, *, C)."""
        full = tf.cast(x, self.variable_dtype)
        mean, variance = tf.nn.moments(full, axes=(-1,), keepdims=True)
        y = (full - mean) * tf.math.rsqrt(variance + self.layer.epsilon) * self.scale.value + self.shift.value
        return tf.cast(y, x.dtype)
