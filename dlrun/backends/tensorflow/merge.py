"""Layers that read several inputs; under a mixed policy all are brought to the low precision."""

from __future__ import annotations

import functools
import operator

import tensorflow as tf

from dlrun.backends.tensorflow.lowering import Lowered, lowers
from dlrun.layers import merge


@lowers(merge.Add)
class Add(Lowered):
    """Sum, from the first input to the last."""

    mixed = True

    def call(self, xs: list[tf.Tensor]) -> tf.Tensor:
        """Shapes: (N, *) each -> (N, *)."""
        return functools.reduce(operator.add, xs)


@lowers(merge.Subtract)
class Subtract(Lowered):
    """The first input less the second."""

    mixed = True

    def call(self, xs: list[tf.Tensor]) -> tf.Tensor:
        """Shapes: (N, *) both -> (N, *)."""
        return xs[0] - xs[1]


@lowers(merge.Multiply)
class Multiply(Lowered):
    """Product, from the first input to the last; axes of length 1 are repeated."""

    mixed = True

    def call(self, xs: list[tf.Tensor]) -> tf.Tensor:
        """Shapes: (N, n, *) or (N, 1, *) each -> (N, n, *)."""
        return functools.reduce(operator.mul, xs)


@lowers(merge.Average)
class Average(Add):
    """Mean."""

    def call(self, xs: list[tf.Tensor]) -> tf.Tensor:
        """Shapes: (N, *) each -> (N, *)."""
        return super().call(xs) / len(xs)


@lowers(merge.Maximum)
class Maximum(Lowered):
    """Largest; said with a condition, so that the first of equals has the gradient however many there are."""

    mixed = True

    def call(self, xs: list[tf.Tensor]) -> tf.Tensor:
        """Shapes: (N, *) each -> (N, *)."""
        return functools.reduce(lambda a, b: tf.where(a >= b, a, b), xs)


@lowers(merge.Minimum)
class Minimum(Lowered):
    """Smallest, as ``Maximum``."""

    mixed = True

    def call(self, xs: list[tf.Tensor]) -> tf.Tensor:
        """Shapes: (N, *) each -> (N, *)."""
        return functools.reduce(lambda a, b: tf.where(a <= b, a, b), xs)


@lowers(merge.Concat)
class Concatenate(Lowered):
    """Side by side along one axis."""

    mixed = True

    def call(self, xs: list[tf.Tensor]) -> tf.Tensor:
        """Shapes: (N, *, C1), (N, *, C2), … -> (N, *, C1 + C2 + …)."""
        axis = self.layer.axis
        return tf.concat(xs, axis=axis + 1 if axis >= 0 else axis)
