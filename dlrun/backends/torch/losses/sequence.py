"""Losses of sequences in torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from dlrun.backends.torch.losses.native import NativeLoss
from dlrun.backends.torch.lowering import lowers
from dlrun.losses import sequence


@lowers(sequence.CTC)
class CTC(NativeLoss):
    """Native, one value a sample, in float64: the gradient is a difference of sums over all frames."""

    def target(self, y: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        return y.long()

    def sum(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        device = output.device
        if output.is_cuda and torch.are_deterministic_algorithms_enabled():
            output, target = output.cpu(), target.cpu()  # the gradient's kernel on a GPU is not reproducible
        steps = output.shape[1]
        frames = target.new_full((len(target),), steps)
        if self.spec.frame_counts:
            frames, target = target[:, 0].clamp(min=1, max=steps), target[:, 1:]
        kept = ((target != self.spec.blank) & (target >= 0)).long().cumprod(dim=1)
        logp = F.log_softmax(output, dim=-1).transpose(0, 1)
        values = F.ctc_loss(
            logp if logp.device.type == "mps" else logp.double(),  # there is no float64 on that device
            torch.where(kept.bool(), target, 0 if self.spec.blank else 1),
            input_lengths=frames,
            target_lengths=kept.sum(1),
            blank=self.spec.blank,
            reduction="none",
            zero_infinity=True,
        )
        return values.sum().to(device, self.dtype)
