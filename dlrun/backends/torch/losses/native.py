"""What a loss is on the device. All read canonical (channels-last) outputs."""

from __future__ import annotations

import math
from typing import Any

import torch

from dlrun import losses
from dlrun.backends.torch.lowering import lowering
from dlrun.losses.weighted_sum import WeightedSum


class NativeLoss:
    """A loss on the device: ``sum / weight``, and 0 when no weight is left.

    Args:
        spec: The description.
        device: Where its constants are.
        dtype: Format of outputs and sums.
    """

    def __init__(self, spec: losses.Loss, device: torch.device, dtype: torch.dtype) -> None:
        self.spec: Any = spec
        self.device = device
        self.dtype = dtype

    def target(self, y: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        """Labels (N, *) as the other methods read them, for outputs of ``shape`` (batch not counted)."""
        return y.to(self.dtype).reshape(-1, *shape)

    def mean(self, output: Any, target: torch.Tensor) -> torch.Tensor:
        """The loss of a whole batch; ``output`` is a tuple where the model has several."""
        return self.part(output, target, self.weight(target))

    def part(self, output: Any, target: torch.Tensor, weight: Any) -> torch.Tensor:
        """What a part of a batch adds to the loss of the whole, whose ``weight`` is given."""
        return self.sum(output, target) / weight

    def sum(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The weighted sum of a batch or a part of it."""
        raise NotImplementedError

    def weight(self, target: torch.Tensor) -> Any:
        """What a whole batch's sum is divided by: infinity when no weight is left."""
        return len(target)

    def counted(self, weights: torch.Tensor) -> torch.Tensor:
        """The sum of weights, or of what is true, as a divisor."""
        total = weights.sum().to(self.dtype)
        return torch.where(total == 0, math.inf, total)


def native_loss(
    loss: losses.Loss, device: torch.device, dtype: torch.dtype, outputs: tuple[str, ...] = ("output",)
) -> NativeLoss:
    """The loss of a recipe, its constants on ``device``, for a model with these outputs."""
    lowered = lowering(type(loss))
    return lowered(loss, device, dtype, outputs) if isinstance(loss, WeightedSum) else lowered(loss, device, dtype)
