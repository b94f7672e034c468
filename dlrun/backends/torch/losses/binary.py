"""Losses for yes-or-no labels in torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from dlrun import losses
from dlrun.backends.torch.losses.elementwise import Elementwise
from dlrun.backends.torch.lowering import lowers
from dlrun.losses import binary


def softplus(x: torch.Tensor) -> torch.Tensor:
    """log(1 + exp x); linear where that is exact in float64 too."""
    return F.softplus(x, beta=1.0, threshold=40.0)


@lowers(binary.BinaryCrossEntropy)
class BinaryCrossEntropy(Elementwise):
    """Native; labels are smoothed once."""

    def __init__(self, spec: losses.Loss, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__(spec, device, dtype)
        weight = self.spec.pos_weight
        self._positive = None if weight == 1 else torch.tensor(weight, device=device, dtype=dtype)

    def target(self, y: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        s, y = self.spec.label_smoothing, super().target(y, shape)
        return y * (1 - s) + s / 2 if s else y

    def reduced(self, x: torch.Tensor, y: torch.Tensor, reduction: str) -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(x, y, weight=None, reduction=reduction, pos_weight=self._positive)


@lowers(binary.Focal)
class Focal(Elementwise):
    """Own form: torch has none."""

    def values(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        positive = y > 0.5
        z = torch.where(positive, x, -x)
        value = torch.exp(-self.spec.gamma * softplus(z)) * softplus(-z)
        alpha = self.spec.alpha
        return value if alpha is None else torch.where(positive, alpha * value, (1 - alpha) * value)

    def weight(self, target: torch.Tensor) -> torch.Tensor | int:
        if self.spec.divide_by == "positives":
            return self.objects(target > 0.5, target)
        return super().weight(target)

    def mean(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return self.part(output, target, self.weight(target))


@lowers(binary.Hinge)
class Hinge(Elementwise):
    """Own form: torch has none of labels -1 and 1 that is linear."""

    def target(self, y: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        return super().target(y if y.is_floating_point() else 2 * y.long() - 1, shape)

    def values(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        margin = F.relu(1 - y * x)
        return margin * margin if self.spec.squared else margin


@lowers(binary.HeatmapFocal)
class HeatmapFocal(Elementwise):
    """Own form: torch has none."""

    def values(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        alpha, up, down = self.spec.alpha, softplus(x), softplus(-x)
        slope = (1 - y) ** self.spec.beta * torch.exp(-alpha * down) * up
        return torch.where(y == 1, torch.exp(-alpha * up) * down, slope)

    def weight(self, target: torch.Tensor) -> torch.Tensor:
        return self.objects(target == 1, target)

    def mean(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return self.part(output, target, self.weight(target))
