"""Layers that read several inputs; under a mixed policy all are brought to the low precision."""

from __future__ import annotations

import tensorflow as tf

from dlrun.backends.tensorflow.lowering import Lowered, lowers
from dlrun.layers import merge


@lowers(merge.Add)
class Add(Lowered):
    """Sum, from the first input to the last."""

    mixed = True

    def call(self, xs: list[tf.Tensor]) -> tf.Tensor:
        """Shapes: (N, *) each -> (N, *)."""
        total = xs[0]
        for x in xs[1:]:
            total = total + x
        return total


@lowers(merge.Concat)
class Concatenate(Lowered):
    """Side by side along the last axis."""

    mixed = True

    def call(self, xs: list[tf.Tensor]) -> tf.Tensor:
        """Shapes: (N, *, C1), (N, *, C2), … -> (N, *, C1 + C2 + …)."""
        return tf.concat(xs, axis=-1)
