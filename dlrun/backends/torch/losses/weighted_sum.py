"""Several losses added up, in torch."""

from __future__ import annotations

from typing import Any

import torch

from dlrun.backends.torch.losses.native import NativeLoss, native_loss
from dlrun.backends.torch.lowering import lowers
from dlrun.losses import weighted_sum


@lowers(weighted_sum.WeightedSum)
class WeightedSum(NativeLoss):
    """Terms share the labels as data gives them, and read them in their own way.

    Args:
        outputs: Names of the model's outputs.
    """

    def __init__(
        self, spec: weighted_sum.WeightedSum, device: torch.device, dtype: torch.dtype, outputs: tuple[str, ...]
    ) -> None:
        super().__init__(spec, device, dtype)
        self._terms = [
            (term.weight, native_loss(term.loss, device, dtype), place)
            for term, place in zip(spec.terms, spec.places(outputs), strict=True)
        ]

    def target(self, y: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        return y

    def part(self, output: Any, target: torch.Tensor, weight: list[Any]) -> torch.Tensor:
        outputs = output if isinstance(output, tuple) else (output,)
        loss: Any = 0
        for (factor, term, place), divisor in zip(self._terms, weight, strict=True):
            x = outputs[place]
            loss = loss + factor * term.part(x, term.target(target, tuple(x.shape[1:])), divisor)
        return loss

    def weight(self, target: torch.Tensor) -> list[Any]:
        shape = tuple(target.shape[1:]) or (1,)  # no weight depends on a last axis of one
        return [term.weight(term.target(target, shape)) for _, term, _ in self._terms]
