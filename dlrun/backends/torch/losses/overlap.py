"""Losses of how much two regions overlap, in torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from dlrun.backends.torch.losses.native import NativeLoss
from dlrun.backends.torch.lowering import lowers
from dlrun.losses import overlap


@lowers(overlap.Dice)
class Dice(NativeLoss):
    """Own form: torch has none."""

    def target(self, y: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        return y.to(self.dtype) if y.is_floating_point() else y.long()

    def sum(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        channels, smooth, ignored = output.shape[-1], self.spec.smooth, self.spec.ignore_index
        kept = None if ignored is None else target != ignored
        y = target if kept is None else torch.where(kept, target, 0)
        if not y.is_floating_point() and channels > 1:
            p, y = F.softmax(output, dim=-1), F.one_hot(y, num_classes=channels)
        else:
            p = torch.sigmoid(output)
        p, y = p.flatten(1, -2) if p.dim() > 2 else p[:, None], y.reshape(len(y), -1, channels).to(p.dtype)
        if kept is not None:
            inside = kept.flatten(1)[..., None].to(p.dtype)
            p, y = p * inside, y * inside
        values = 1 - (2 * (p * y).sum(1) + smooth) / (p.sum(1) + y.sum(1) + smooth)
        values = values.mean(1)
        return values.sum() if kept is None else torch.where(kept.flatten(1).any(1), values, 0).sum()

    def weight(self, target: torch.Tensor) -> torch.Tensor | int:
        if self.spec.ignore_index is None:
            return len(target)
        return self.counted((target != self.spec.ignore_index).flatten(1).any(1))
