"""Losses between numbers in torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from dlrun.backends.torch.losses.elementwise import Elementwise
from dlrun.backends.torch.lowering import lowers
from dlrun.losses import regression


@lowers(regression.MeanSquaredError)
class MeanSquaredError(Elementwise):
    """Native."""

    def reduced(self, x: torch.Tensor, y: torch.Tensor, reduction: str) -> torch.Tensor:
        return F.mse_loss(x, y, reduction=reduction)


@lowers(regression.MeanAbsoluteError)
class MeanAbsoluteError(Elementwise):
    """Native."""

    def reduced(self, x: torch.Tensor, y: torch.Tensor, reduction: str) -> torch.Tensor:
        return F.l1_loss(x, y, reduction=reduction)


@lowers(regression.Huber)
class Huber(Elementwise):
    """Native."""

    def reduced(self, x: torch.Tensor, y: torch.Tensor, reduction: str) -> torch.Tensor:
        return F.huber_loss(x, y, reduction=reduction, delta=self.spec.delta)


@lowers(regression.SmoothL1)
class SmoothL1(Elementwise):
    """Native."""

    def reduced(self, x: torch.Tensor, y: torch.Tensor, reduction: str) -> torch.Tensor:
        return F.smooth_l1_loss(x, y, reduction=reduction, beta=self.spec.beta)


@lowers(regression.LogCosh)
class LogCosh(Elementwise):
    """Own form; torch has none."""

    def values(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        e = (x - y).abs()
        return e + torch.log1p(torch.expm1(-2 * e) / 2)


@lowers(regression.Poisson)
class Poisson(Elementwise):
    """Native."""

    def reduced(self, x: torch.Tensor, y: torch.Tensor, reduction: str) -> torch.Tensor:
        # eps is read for rates, not for their logarithms
        return F.poisson_nll_loss(x, y, log_input=True, full=False, eps=1e-8, reduction=reduction)
