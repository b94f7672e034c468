"""Several losses added up, in TensorFlow."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dlrun.backends.tensorflow.losses.lowered import LoweredLoss, lower_loss
from dlrun.backends.tensorflow.lowering import lowers
from dlrun.losses import weighted_sum


@lowers(weighted_sum.WeightedSum)
class WeightedSum(LoweredLoss):
    """Terms read the same labels.

    Args:
        outputs: Names of the model's outputs.
    """

    def __init__(self, spec: weighted_sum.WeightedSum, dtype: str, exact: bool, outputs: tuple[str, ...]) -> None:
        super().__init__(spec, dtype, exact)
        self._terms = [
            (term.weight, lower_loss(term.loss, dtype, exact), place)
            for term, place in zip(spec.terms, spec.places(outputs), strict=True)
        ]

    def part(self, x: Any, y: tf.Tensor, weight: list[tf.Tensor]) -> tf.Tensor:
        outputs = x if isinstance(x, list) else [x]
        parts = [
            factor * term.part(outputs[place], y, divisor)
            for (factor, term, place), divisor in zip(self._terms, weight, strict=True)
        ]
        return tf.add_n(parts)

    def weight(self, y: tf.Tensor) -> list[tf.Tensor]:
        return [term.weight(y) for _, term, _ in self._terms]
