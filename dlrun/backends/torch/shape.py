"""Rearrangements in torch, in the canonical channels-last order."""

from __future__ import annotations

import torch
from torch import nn

from dlrun.backends.torch.layout import to_canonical, to_native
from dlrun.backends.torch.lowering import lowers
from dlrun.graph import Node
from dlrun.layers import shape


@lowers(shape.Flatten)
def flatten(layer: shape.Flatten, node: Node) -> nn.Module:
    return Flatten()


class Flatten(nn.Module):
    """(N, C, H, W) -> (N, H * W * C): unlike ``nn.Flatten``, channels vary fastest."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return to_canonical(x).flatten(1)


@lowers(shape.Reshape)
def reshape(layer: shape.Reshape, node: Node) -> nn.Module:
    return Reshape(node.output.shape)


class Reshape(nn.Module):
    """Another shape for the same elements, channels varying fastest; an image comes out as (N, C, H, W).

    Args:
        shape: Canonical axes without the batch.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return to_native(to_canonical(x).reshape(-1, *self.shape))

    def extra_repr(self) -> str:
        return f"shape={self.shape}"
