"""The losses of two networks trained against each other, in torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from dlrun.backends.torch.losses.native import NativeLoss
from dlrun.backends.torch.lowering import lowers
from dlrun.losses import adversarial


@lowers(adversarial.Adversarial)
class Adversarial(NativeLoss):
    """Native cross entropy with one label for all."""

    def target(self, y: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        return y

    def sum(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        labels = torch.full_like(output, self.spec.label)
        total = F.binary_cross_entropy_with_logits(output, labels, weight=None, reduction="sum", pos_weight=None)
        return total / output[0].numel()
