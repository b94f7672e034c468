"""Layers that read several inputs, in torch."""

from __future__ import annotations

import torch
from torch import nn

from dlrun.backends.torch.layout import native_axis
from dlrun.backends.torch.lowering import lowers
from dlrun.graph import Node
from dlrun.layers import merge


@lowers(merge.Add)
def add(layer: merge.Add, node: Node) -> nn.Module:
    return Add()


class Add(nn.Module):
    """Sum of its inputs, from left to right."""

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        total = inputs[0] + inputs[1]
        for x in inputs[2:]:
            total = total + x
        return total


@lowers(merge.Subtract)
def subtract(layer: merge.Subtract, node: Node) -> nn.Module:
    return Subtract()


class Subtract(nn.Module):
    """The first input less the second."""

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a - b


@lowers(merge.Multiply)
def multiply(layer: merge.Multiply, node: Node) -> nn.Module:
    return Multiply()


class Multiply(nn.Module):
    """Product of its inputs, from left to right; axes of length 1 are repeated."""

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        total = inputs[0] * inputs[1]
        for x in inputs[2:]:
            total = total * x
        return total


@lowers(merge.Average)
def average(layer: merge.Average, node: Node) -> nn.Module:
    return Average()


class Average(Add):
    """Mean of its inputs."""

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return super().forward(*inputs) / len(inputs)


@lowers(merge.Maximum)
def maximum(layer: merge.Maximum, node: Node) -> nn.Module:
    return Maximum()


class Maximum(nn.Module):
    """Largest of its inputs; ``torch.maximum`` would share the gradient among equal ones."""

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        best = inputs[0]
        for x in inputs[1:]:
            best = torch.where(best >= x, best, x)
        return best


@lowers(merge.Minimum)
def minimum(layer: merge.Minimum, node: Node) -> nn.Module:
    return Minimum()


class Minimum(nn.Module):
    """Smallest of its inputs; ``torch.minimum`` would share the gradient among equal ones."""

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        best = inputs[0]
        for x in inputs[1:]:
            best = torch.where(best <= x, best, x)
        return best


@lowers(merge.Concat)
def concat(layer: merge.Concat, node: Node) -> nn.Module:
    return Concat(native_axis(node.output, layer.axis))


class Concat(nn.Module):
    """Its inputs side by side along one axis.

    Args:
        dim: The native axis.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return torch.cat(inputs, dim=self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"
