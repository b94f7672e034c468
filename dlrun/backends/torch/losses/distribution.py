"""Losses between distributions in torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from dlrun.backends.torch.losses.native import NativeLoss
from dlrun.backends.torch.lowering import lowers
from dlrun.losses import distribution


@lowers(distribution.KLDivergence)
class KLDivergence(NativeLoss):
    """Native, with the logits' log-softmax."""

    def sum(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return F.kl_div(F.log_softmax(output, dim=-1), target, reduction="sum", log_target=False)

    def weight(self, target: torch.Tensor) -> int:
        return target.numel() // target.shape[-1]
