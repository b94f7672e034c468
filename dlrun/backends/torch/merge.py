"""Layers that read several inputs, in torch."""

from __future__ import annotations

import torch
from torch import nn

from dlrun.backends.torch.layout import channel_axis
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


@lowers(merge.Concat)
def concat(layer: merge.Concat, node: Node) -> nn.Module:
    return Concat(channel_axis(node.output))


class Concat(nn.Module):
    """Its inputs side by side along the channel axis.

    Args:
        dim: The native axis of channels.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return torch.cat(inputs, dim=self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"
