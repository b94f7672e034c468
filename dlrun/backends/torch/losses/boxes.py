"""Losses of how much two boxes overlap, in torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from dlrun.backends.torch.losses.native import NativeLoss
from dlrun.backends.torch.lowering import lowers
from dlrun.losses import boxes


def area(box: torch.Tensor) -> torch.Tensor:
    """Width times height; 0 for a box that is turned inside out."""
    size = F.relu(box[..., 2:] - box[..., :2])
    return size[..., 0] * size[..., 1]


def larger(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The maximum, without a gradient for x where both are equal; torch's gives it a half."""
    return torch.where(x > y, x, y)


def smaller(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The minimum, without a gradient for x where both are equal."""
    return torch.where(x < y, x, y)


@lowers(boxes.IoU)
class IoU(NativeLoss):
    """Own form: torch has none."""

    def overlap(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Areas of the intersection and of the union."""
        shared = area(torch.cat([larger(x[..., :2], y[..., :2]), smaller(x[..., 2:], y[..., 2:])], dim=-1))
        return shared, area(x) + area(y) - shared

    def values(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The value of each pair of boxes."""
        shared, union = self.overlap(x, y)
        return 1 - shared / (union + self.spec.epsilon)

    def sum(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return torch.where(area(target) > 0, self.values(output, target), 0).sum()

    def weight(self, target: torch.Tensor) -> torch.Tensor:
        return self.counted(area(target) > 0)


@lowers(boxes.GIoU)
class GIoU(IoU):
    """Own form: torch has none."""

    def values(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        shared, union = self.overlap(x, y)
        hull = area(torch.cat([smaller(x[..., :2], y[..., :2]), larger(x[..., 2:], y[..., 2:])], dim=-1))
        epsilon = self.spec.epsilon
        return 1 - shared / (union + epsilon) + (hull - union) / (hull + epsilon)
