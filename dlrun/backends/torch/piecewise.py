"""Activations of straight or simple pieces in torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import skip_init

from dlrun.backends.torch.layout import IMAGE_RANK
from dlrun.backends.torch.lowering import lowers
from dlrun.graph import Node
from dlrun.layers import piecewise


@lowers(piecewise.Identity)
def identity(layer: piecewise.Identity, node: Node) -> nn.Module:
    return nn.Identity()


@lowers(piecewise.Abs)
def abs(layer: piecewise.Abs, node: Node) -> nn.Module:
    return Abs()


class Abs(nn.Module):
    """Absolute value."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.abs(x)


@lowers(piecewise.SquaredReLU)
def squared_relu(layer: piecewise.SquaredReLU, node: Node) -> nn.Module:
    return SquaredReLU()


class SquaredReLU(nn.Module):
    """max(x, 0)^2."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.square(F.relu(x, inplace=False))


@lowers(piecewise.HardTanh)
def hard_tanh(layer: piecewise.HardTanh, node: Node) -> nn.Module:
    return Clamp(layer.low, layer.high)


class Clamp(nn.Module):
    """min(max(x, low), high); at the bounds the gradient is 1, that of ``nn.Hardtanh`` is 0."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.clamp(x, min=self.low, max=self.high)

    def extra_repr(self) -> str:
        return f"low={self.low}, high={self.high}"


@lowers(piecewise.PReLU, slope="weight")
def prelu(layer: piecewise.PReLU, node: Node) -> nn.Module:
    (x,) = node.input_types
    channels_second = layer.shared or x.rank in (1, IMAGE_RANK)
    native = PReLU if channels_second else LastAxisPReLU
    return skip_init(native, num_parameters=1 if layer.shared else x.shape[-1])


class PReLU(nn.PReLU):
    """Learned slopes, in the number format of the input: (N, C, *) -> (N, C, *)."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return F.prelu(input, self.weight.to(input.dtype))


class LastAxisPReLU(PReLU):
    """Learned slopes of channels-last data that is no image: (N, *, C) -> (N, *, C)."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input.flatten(0, -2)).reshape(input.shape)
