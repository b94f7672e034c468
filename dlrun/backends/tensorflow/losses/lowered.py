"""What a loss is as operations."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dlrun import losses
from dlrun.backends.tensorflow.lowering import lowering
from dlrun.losses.weighted_sum import WeightedSum


class LoweredLoss:
    """A loss as operations; its value is ``total / weight``, and 0 when no weight is left.

    Args:
        spec: The description.
        dtype: Format of outputs and sums, float32 or float64.
        exact: Whether only kernels that are reproducible on a GPU may be used.
    """

    def __init__(self, spec: losses.Loss, dtype: str, exact: bool) -> None:
        self.spec: Any = spec
        self.dtype = tf.as_dtype(dtype)
        self.exact = exact

    def part(self, x: Any, y: tf.Tensor, weight: Any) -> tf.Tensor:
        """What outputs x (a list where the model has several) with labels y add to the loss of the whole batch."""
        return self.divided(self.total(x, y), weight)

    def total(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """Weighted sum of values for outputs x and labels y."""
        raise NotImplementedError

    def divided(self, total: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        """The loss: by default no weight can be zero."""
        return total / weight

    def weight(self, y: tf.Tensor) -> Any:
        """Sum of a whole batch's weights: by default 1 for each sample."""
        return tf.cast(tf.shape(y)[0], self.dtype)

    def counted(self, kept: tf.Tensor) -> tf.Tensor:
        """How many are true."""
        return tf.cast(tf.math.count_nonzero(kept), self.dtype)


def lower_loss(spec: losses.Loss, dtype: str, exact: bool, outputs: tuple[str, ...] = ("output",)) -> LoweredLoss:
    """The operations of a recipe's loss for a model with these outputs."""
    lowered = lowering(type(spec))
    return lowered(spec, dtype, exact, outputs) if isinstance(spec, WeightedSum) else lowered(spec, dtype, exact)
