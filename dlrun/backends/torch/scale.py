"""Multiplication by learned or fixed numbers in torch."""

from __future__ import annotations

import torch
from torch import nn

from dlrun.backends.torch.layout import channel_axis
from dlrun.backends.torch.lowering import lowers
from dlrun.graph import Node
from dlrun.layers import scale


@lowers(scale.Scale)
def scale_layer(layer: scale.Scale, node: Node) -> nn.Module:
    (x,) = node.input_types
    return Scale(x.shape[-1], layer.shift, x.rank if channel_axis(x) == 1 else 1)


class Scale(nn.Module):
    """A learned factor for each channel, and an offset if there is one.

    Args:
        channels: How many.
        shift: Whether there is an offset.
        trailing: Native axes from the channels on: 1 where they are last, 3 in an image.

    Shapes: (N, *) -> (N, *).
    """

    def __init__(self, channels: int, shift: bool, trailing: int) -> None:
        super().__init__()
        self._shape = (channels, *(1,) * (trailing - 1))
        self.scale = nn.Parameter(torch.empty(channels))
        self.shift = nn.Parameter(torch.empty(channels)) if shift else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x * self.scale.to(x.dtype).view(self._shape)
        return y if self.shift is None else y + self.shift.to(x.dtype).view(self._shape)

    def extra_repr(self) -> str:
        return f"channels={self._shape[0]}, shift={self.shift is not None}"


@lowers(scale.ScaleBy)
def scale_by(layer: scale.ScaleBy, node: Node) -> nn.Module:
    return ScaleBy(layer.factor, layer.offset)


class ScaleBy(nn.Module):
    """A fixed factor and offset: (N, *) -> (N, *)."""

    def __init__(self, factor: float, offset: float) -> None:
        super().__init__()
        self.factor, self.offset = factor, offset

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor + self.offset if self.offset else x * self.factor

    def extra_repr(self) -> str:
        return f"factor={self.factor}, offset={self.offset}"
