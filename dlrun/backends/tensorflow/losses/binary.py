"""Losses for yes-or-no labels in TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from dlrun.backends.tensorflow.losses.elementwise import Elementwise
from dlrun.backends.tensorflow.lowering import lowers
from dlrun.losses import binary


@lowers(binary.BinaryCrossEntropy)
class BinaryCrossEntropy(Elementwise):
    """Said with softplus, whose gradient is right at 0; that of tf.nn.weighted_cross_entropy_with_logits is not."""

    def values(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        s = self.spec.label_smoothing
        if s:
            y = y * (1 - s) + s / 2
        return self.spec.pos_weight * y * tf.math.softplus(-x) + (1 - y) * tf.math.softplus(x)


@lowers(binary.Focal)
class Focal(Elementwise):
    """Powers as exponentials of logarithms, which softplus gives."""

    def values(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        positive, alpha = y > 0.5, self.spec.alpha
        z = tf.where(positive, x, -x)
        value = tf.exp(-self.spec.gamma * tf.math.softplus(z)) * tf.math.softplus(-z)
        return value if alpha is None else tf.where(positive, alpha * value, (1 - alpha) * value)

    def weight(self, y: tf.Tensor) -> tf.Tensor:
        if self.spec.divide_by == "elements":
            return super().weight(y)
        y = self.labels(y)
        return self.objects(y > 0.5, y)


@lowers(binary.Hinge)
class Hinge(Elementwise):
    """relu, whose gradient at the margin is 0."""

    def labels(self, y: tf.Tensor) -> tf.Tensor:
        return tf.cast(2 * y - 1 if y.dtype.is_integer else y, self.dtype)

    def values(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        margin = tf.nn.relu(1 - y * x)
        return margin * margin if self.spec.squared else margin


@lowers(binary.HeatmapFocal)
class HeatmapFocal(Elementwise):
    """Powers of p and 1 - p as exponentials of logarithms, which softplus gives."""

    def values(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        alpha, up, down = self.spec.alpha, tf.math.softplus(x), tf.math.softplus(-x)
        slope = (1 - y) ** self.spec.beta * tf.exp(-alpha * down) * up
        return tf.where(y == 1, tf.exp(-alpha * up) * down, slope)

    def weight(self, y: tf.Tensor) -> tf.Tensor:
        y = self.labels(y)
        return self.objects(y == 1, y)
