"""Normalisation; statistics and weights keep full precision under a mixed policy."""

from __future__ import annotations

import math

import tensorflow as tf

from dlrun.backends.tensorflow.lowering import Lowered, lowers
from dlrun.layers import norm


class _Affine(Lowered):
    """A norm that may have a scale and a shift for each channel."""

    def affine(self, x: tf.Tensor) -> tf.Tensor:
        """x times the scale plus the shift, as far as there are any."""
        if self.layer.scale:
            x = x * self.scale.value
        return x + self.shift.value if self.layer.shift else x


@lowers(norm.BatchNorm)
class BatchNormalization(_Affine):
    """Batch normalisation with the unbiased variance in the running statistics.

    The fused kernel, which has no float64, moves the running statistics as the graph defines;
    float64 is said with plain operations.
    """

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Shapes: (N, *, C) -> (N, *, C)."""
        training = bool(training) and self.layer.trainable
        if self.variable_dtype == "float64":
            return self._trained(x) if training else self._scaled(x, self.mean.value, self.variance.value)
        return self._fused(x, training)

    def _fused(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        cells, channels = math.prod(self.node.output.shape[:-1]), x.shape[-1]
        x_nhwc = tf.reshape(x, (-1, 1, cells, channels)) if x.shape.rank != 4 else x
        y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x_nhwc,
            scale=self.scale.value if self.layer.scale else tf.ones((channels,), self.variable_dtype),
            offset=self.shift.value if self.layer.shift else tf.zeros((channels,), self.variable_dtype),
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
            x,
            mean,
            variance,
            offset=self.shift.value if self.layer.shift else None,
            scale=self.scale.value if self.layer.scale else None,
            variance_epsilon=self.layer.epsilon,
        )


@lowers(norm.LayerNorm)
class LayerNormalization(_Affine):
    """Layer normalisation over the last axis."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, *, C) -> (N, *, C)."""
        full = tf.cast(x, self.variable_dtype)
        mean, variance = tf.nn.moments(full, axes=(-1,), keepdims=True)
        return tf.cast(self.affine((full - mean) * tf.math.rsqrt(variance + self.layer.epsilon)), x.dtype)


@lowers(norm.RMSNorm)
class RMSNormalization(Lowered):
    """Division by the root of the mean square over the last axis."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, *, C) -> (N, *, C)."""
        full = tf.cast(x, self.variable_dtype)
        square = tf.reduce_mean(full * full, axis=-1, keepdims=True)
        y = full * tf.math.rsqrt(square + self.layer.epsilon)
        return tf.cast(y * self.scale.value if self.layer.scale else y, x.dtype)


class _Grouped(_Affine):
    groups: int

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, *, C) -> (N, *, C)."""
        *positions, channels = self.node.output.shape
        grouped = (-1, math.prod(positions), self.groups, channels // self.groups)
        parts = tf.reshape(tf.cast(x, self.variable_dtype), grouped)
        mean, variance = tf.nn.moments(parts, axes=(1, 3), keepdims=True)
        y = (parts - mean) * tf.math.rsqrt(variance + self.layer.epsilon)
        return tf.cast(self.affine(tf.reshape(y, (-1, *self.node.output.shape))), x.dtype)


@lowers(norm.GroupNorm)
class GroupNormalization(_Grouped):
    """Normalisation over positions and the channels of a group."""

    @property
    def groups(self) -> int:
        """How many."""
        return self.layer.groups


@lowers(norm.InstanceNorm)
class InstanceNormalization(_Grouped):
    """Normalisation of each channel over positions: as many groups as channels."""

    @property
    def groups(self) -> int:
        """How many."""
        return self.node.output.shape[-1]
