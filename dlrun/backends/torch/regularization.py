"""Layers that act only in training, in torch."""

from __future__ import annotations

import torch
from torch import nn

from dlrun.backends.torch.dropout import Dropout, GaussianNoise
from dlrun.backends.torch.lowering import lowers
from dlrun.graph import Node, TensorType
from dlrun.layers import regularization


@lowers(regularization.Dropout)
def dropout(layer: regularization.Dropout, node: Node) -> nn.Module:
    return Dropout(layer.rate, node.name, node.output)


@lowers(regularization.SpatialDropout)
def spatial_dropout(layer: regularization.SpatialDropout, node: Node) -> nn.Module:
    *positions, channels = node.output.shape
    return Dropout(layer.rate, node.name, TensorType((*(1 for _ in positions), channels)))


@lowers(regularization.StochasticDepth)
def stochastic_depth(layer: regularization.StochasticDepth, node: Node) -> nn.Module:
    return Dropout(layer.rate, node.name, TensorType((1,) * node.output.rank))


@lowers(regularization.GaussianNoise)
def gaussian_noise(layer: regularization.GaussianNoise, node: Node) -> nn.Module:
    return GaussianNoise(layer.deviation, node.name, node.output)


@lowers(regularization.GradientReversal)
def gradient_reversal(layer: regularization.GradientReversal, node: Node) -> nn.Module:
    return GradientReversal(layer.factor)


class GradientReversal(nn.Module):
    """x, said so that its gradient is reversed.

    Args:
        factor: Of the gradient, before its sign changes.
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        still = x.detach()
        return still - self.factor * (x - still)

    def extra_repr(self) -> str:
        return f"factor={self.factor}"
