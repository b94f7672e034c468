"""Layers that act only in training."""

from __future__ import annotations

import tensorflow as tf

from dlrun.backends.tensorflow.dropout import Drawing
from dlrun.backends.tensorflow.lowering import Lowered, lowers
from dlrun.layers import regularization


@lowers(regularization.Dropout)
class Dropout(Drawing):
    """Zeroes elements in training."""

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Shapes: (N, *) -> (N, *)."""
        return self.draws.apply(x, self.layer.rate, self.index) if training and self.layer.rate else x


@lowers(regularization.SpatialDropout)
class SpatialDropout(Drawing):
    """Zeroes channels in training: one draw for all positions."""

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Shapes: (N, *, C) -> (N, *, C)."""
        if not training or not self.layer.rate:
            return x
        *positions, channels = self.node.output.shape
        return self.draws.apply(x, self.layer.rate, self.index, (*(1 for _ in positions), channels))


@lowers(regularization.StochasticDepth)
class StochasticDepth(Drawing):
    """Zeroes samples in training: one draw for each."""

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Shapes: (N, *) -> (N, *)."""
        if not training or not self.layer.rate:
            return x
        return self.draws.apply(x, self.layer.rate, self.index, (1,) * self.node.output.rank)


@lowers(regularization.GaussianNoise)
class GaussianNoise(Drawing):
    """Adds noise in training."""

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Shapes: (N, *) -> (N, *)."""
        if not training or not self.layer.deviation:
            return x
        return x + self.layer.deviation * self.draws.noise(x, self.index)


@lowers(regularization.GradientReversal)
class GradientReversal(Lowered):
    """x, said so that its gradient is reversed."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, *) -> (N, *)."""
        still = tf.stop_gradient(x)
        return still - self.layer.factor * (x - still)
