"""Means over elements in torch."""

from __future__ import annotations

import torch

from dlrun import losses
from dlrun.backends.torch.losses.native import NativeLoss


class Elementwise(NativeLoss):
    """A loss with a value for each element; see ``NativeLoss``."""

    def __init__(self, spec: losses.Loss, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__(spec, device, dtype)
        self._gaps = self.spec.ignore_nan

    def values(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The value of each element; a loss that torch has says ``reduced`` instead."""
        raise NotImplementedError

    def reduced(self, x: torch.Tensor, y: torch.Tensor, reduction: str) -> torch.Tensor:
        """The values, or their sum or mean."""
        values = self.values(x, y)
        return values if reduction == "none" else values.sum() if reduction == "sum" else values.mean()

    def mean(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """One native call where nothing is ignored."""
        return super().mean(output, target) if self._gaps else self.reduced(output, target, "mean")

    def sum(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Elements whose label is not a number are left out."""
        if not self._gaps:
            return self.reduced(output, target, "sum")
        kept = ~target.isnan()
        return torch.where(kept, self.reduced(output, torch.where(kept, target, 0), "none"), 0).sum()

    def weight(self, target: torch.Tensor) -> torch.Tensor | int:
        """Elements that count."""
        return self.counted(~target.isnan()) if self._gaps else target.numel()

    def objects(self, positives: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Each sample's number of positives, at least 1, added up; samples without a label count nothing."""
        found = positives.flatten(1).sum(1).clamp(min=1)
        return self.counted(torch.where(target.isnan().flatten(1).all(1), 0, found)) if self._gaps else found.sum()
