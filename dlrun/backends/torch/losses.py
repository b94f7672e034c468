"""Losses in torch: a mean for whole batches, two sums for batches in parts. All read canonical logits."""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F

from dlrun import losses
from dlrun.backends.torch.lowering import lowering, lowers


class NativeLoss(Protocol):
    """A loss on the device. ``mean`` is ``sum / weight``, and 0 when no weight is left."""

    def target(self, y: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        """Labels (N, *) as the other methods read them, for outputs of ``shape`` (batch not counted)."""
        ...

    def mean(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The loss of a whole batch."""
        ...

    def sum(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The weighted sum of a part of a batch."""
        ...

    def weight(self, target: torch.Tensor) -> torch.Tensor | int:
        """What a whole batch's sum is divided by; 1 when no weight is left."""
        ...


def native_loss(loss: losses.Loss, device: torch.device, dtype: torch.dtype) -> NativeLoss:
    """The loss of a recipe, its constants on ``device``."""
    return lowering(type(loss))(loss, device, dtype)


@lowers(losses.SoftmaxCrossEntropy)
class SoftmaxCrossEntropy:
    def __init__(self, loss: losses.SoftmaxCrossEntropy, device: torch.device, dtype: torch.dtype) -> None:
        weights = loss.class_weights
        self._smoothing = loss.label_smoothing
        self._weights = None if weights is None else torch.tensor(weights, device=device, dtype=dtype)
        self._may_vanish = weights is not None and min(weights) == 0

    def target(self, y: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        return y.long()

    def _cross_entropy(self, output: torch.Tensor, target: torch.Tensor, reduction: str) -> torch.Tensor:
        return F.cross_entropy(
            output,
            target,
            weight=self._weights,
            ignore_index=-100,  # no class id is negative, so nothing is ignored
            reduction=reduction,
            label_smoothing=self._smoothing,
        )

    def mean(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if self._may_vanish:
            return self.sum(output, target) / self.weight(target)
        return self._cross_entropy(output, target, "mean")

    def sum(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return self._cross_entropy(output, target, "sum")

    def weight(self, target: torch.Tensor) -> torch.Tensor | int:
        if self._weights is None:
            return target.numel()
        total = self._weights[target].sum()
        return torch.where(total == 0, 1, total)


@lowers(losses.BinaryCrossEntropy)
class BinaryCrossEntropy:
    def __init__(self, loss: losses.BinaryCrossEntropy, device: torch.device, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._positive = None if loss.pos_weight == 1 else torch.tensor(loss.pos_weight, device=device, dtype=dtype)

    def target(self, y: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        return y.to(self._dtype).reshape(-1, *shape)

    def _cross_entropy(self, output: torch.Tensor, target: torch.Tensor, reduction: str) -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(
            output, target, weight=None, reduction=reduction, pos_weight=self._positive
        )

    def mean(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return self._cross_entropy(output, target, "mean")

    def sum(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return self._cross_entropy(output, target, "sum")

    def weight(self, target: torch.Tensor) -> torch.Tensor | int:
        return target.numel()


@lowers(losses.MeanSquaredError)
class MeanSquaredError:
    def __init__(self, loss: losses.MeanSquaredError, device: torch.device, dtype: torch.dtype) -> None:
        self._dtype = dtype

    def target(self, y: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        return y.to(self._dtype).reshape(-1, *shape)

    def mean(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return F.mse_loss(output, target, reduction="mean")

    def sum(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return F.mse_loss(output, target, reduction="sum")

    def weight(self, target: torch.Tensor) -> torch.Tensor | int:
        return target.numel()
