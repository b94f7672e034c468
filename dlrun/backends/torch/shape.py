"""Rearrangements in torch, in the canonical channels-last order."""

from __future__ import annotations

import torch
from torch import nn

from dlrun.backends.torch.layout import native_axis, to_canonical, to_native
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


@lowers(shape.Permute)
def permute(layer: shape.Permute, node: Node) -> nn.Module:
    return Permute(layer.order(node.input_types[0]))


class Permute(nn.Module):
    """The canonical axes in another order.

    Args:
        axes: Canonical axes without the batch, from 0.
    """

    def __init__(self, axes: tuple[int, ...]) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return to_native(to_canonical(x).permute(0, *(axis + 1 for axis in self.axes)))

    def extra_repr(self) -> str:
        return f"axes={self.axes}"


@lowers(shape.Slice)
def slice_layer(layer: shape.Slice, node: Node) -> nn.Module:
    (x,) = node.input_types
    axis, start, stop = layer.span(x)
    return Slice(native_axis(x, axis), start, stop, layer.step)


class Slice(nn.Module):
    """A stretch of one axis.

    Args:
        dim: The native axis.
        start: First position.
        stop: First position left out.
        step: Distance between positions.
    """

    def __init__(self, dim: int, start: int, stop: int, step: int) -> None:
        super().__init__()
        self.dim = dim
        self.span = slice(start, stop, step)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[(slice(None),) * self.dim + (self.span,)]

    def extra_repr(self) -> str:
        return f"dim={self.dim}, start={self.span.start}, stop={self.span.stop}, step={self.span.step}"
