"""Losses between numbers in TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from dlrun.backends.tensorflow.losses.elementwise import Elementwise
from dlrun.backends.tensorflow.lowering import lowers
from dlrun.losses import regression


@lowers(regression.MeanSquaredError)
class MeanSquaredError(Elementwise):
    """(x - y)^2."""

    def values(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        return tf.math.squared_difference(x, y)


@lowers(regression.MeanAbsoluteError)
class MeanAbsoluteError(Elementwise):
    """|x - y|."""

    def values(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        return tf.abs(x - y)


@lowers(regression.Huber)
class Huber(Elementwise):
    """Two branches that meet at delta."""

    def values(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        e, delta = tf.abs(x - y), self.spec.delta
        return tf.where(e <= delta, 0.5 * e * e, delta * (e - 0.5 * delta))


@lowers(regression.SmoothL1)
class SmoothL1(Elementwise):
    """Two branches that meet at beta."""

    def values(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        e, beta = tf.abs(x - y), self.spec.beta
        return tf.where(e < beta, (0.5 / beta) * e * e, e - 0.5 * beta)


@lowers(regression.LogCosh)
class LogCosh(Elementwise):
    """|e| + log((1 + exp(-2 |e|)) / 2)."""

    def values(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        e = tf.abs(x - y)
        return e + tf.math.log1p(tf.math.expm1(-2 * e) / 2)


@lowers(regression.Poisson)
class Poisson(Elementwise):
    """exp(x) - y x."""

    def values(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        return tf.exp(x) - y * x
