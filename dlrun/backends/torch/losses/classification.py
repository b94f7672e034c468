"""Losses for one of several classes in torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from dlrun import losses
from dlrun.backends.torch.losses.native import NativeLoss
from dlrun.backends.torch.lowering import lowers
from dlrun.losses import classification

NOT_A_CLASS = -100
"""torch leaves out labels equal to its ``ignore_index``; no class id is negative, so nothing is ignored."""


class _Softmax(NativeLoss):
    def __init__(self, spec: losses.Loss, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__(spec, device, dtype)
        weights = self.spec.class_weights
        self._weights = None if weights is None else torch.tensor(weights, device=device, dtype=dtype)
        self._ignored = NOT_A_CLASS if self.spec.ignore_index is None else self.spec.ignore_index
        self._may_vanish = self.spec.ignore_index is not None or (weights is not None and min(weights) == 0)

    def target(self, y: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        return y.to(self.dtype) if y.is_floating_point() else y.long()

    def weight(self, target: torch.Tensor) -> torch.Tensor | int:
        if target.is_floating_point():
            return self.counted(target if self._weights is None else target * self._weights)
        kept = target != self._ignored
        if self._weights is not None:
            return self.counted(self._weights[torch.where(kept, target, 0)] * kept)
        return target.numel() if self.spec.ignore_index is None else self.counted(kept)


@lowers(classification.SoftmaxCrossEntropy)
class SoftmaxCrossEntropy(_Softmax):
    """Native, on rows of logits."""

    def _cross_entropy(self, output: torch.Tensor, target: torch.Tensor, reduction: str) -> torch.Tensor:
        smoothing = self.spec.label_smoothing
        if target.is_floating_point():
            # rows that do not add up to 1 are smoothed by their own sum, which torch's smoothing is not
            if smoothing:
                share = smoothing / output.shape[-1]
                target, smoothing = target * (1 - smoothing) + share * target.sum(-1, keepdim=True), 0.0
            target = target.flatten(0, -2)
        elif target.dim() > 1:
            target = target.flatten()
        return F.cross_entropy(
            output if output.dim() == 2 else output.flatten(0, -2),
            target,
            weight=self._weights,
            ignore_index=self._ignored,
            reduction=reduction,
            label_smoothing=smoothing,
        )

    def mean(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        # torch's mean is NaN where nothing is left, and counts rows of shares
        if self._may_vanish or target.is_floating_point():
            return super().mean(output, target)
        return self._cross_entropy(output, target, "mean")

    def sum(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return self._cross_entropy(output, target, "sum")


@lowers(classification.SoftmaxFocal)
class SoftmaxFocal(_Softmax):
    """Own form: torch has none."""

    def sum(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        kept = target != self._ignored
        ids = torch.where(kept, target, 0)
        own = F.one_hot(ids, num_classes=output.shape[-1]).bool()
        shares = F.log_softmax(output, dim=-1)
        wrong = shares.masked_fill(own, -torch.inf).logsumexp(-1)
        values = -torch.exp(self.spec.gamma * wrong) * torch.where(own, shares, 0).sum(-1)
        if self._weights is not None:
            values = values * self._weights[ids]
        return torch.where(kept, values, 0).sum()
