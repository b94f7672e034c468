"""Pooling in torch."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from dlrun.backends.torch.lowering import lowers
from dlrun.graph import Node
from dlrun.layers.conv import Pads, pads
from dlrun.layers.pool import AvgPool2D, GlobalAvgPool2D, GlobalMaxPool2D, MaxPool2D


@lowers(MaxPool2D)
def max_pool2d(layer: MaxPool2D, node: Node) -> nn.Module:
    size, stride = layer.window()
    (top, bottom), (left, right) = pads(node.input_types[0].shape, size, stride, (1, 1), layer.padding)
    symmetric = top == bottom and left == right
    pool = nn.MaxPool2d(
        kernel_size=size,
        stride=stride,
        padding=(top, left) if symmetric else (0, 0),
        dilation=1,
        return_indices=False,
        ceil_mode=False,
    )
    if symmetric:
        return pool
    return nn.Sequential(nn.ConstantPad2d(padding=(left, right, top, bottom), value=-math.inf), pool)


@lowers(AvgPool2D)
def avg_pool2d(layer: AvgPool2D, node: Node) -> nn.Module:
    size, stride = layer.window()
    (top, bottom), (left, right) = added = pads(node.input_types[0].shape, size, stride, (1, 1), layer.padding)
    if (top, left) != (bottom, right):
        return UnevenAvgPool2d(size, stride, added, node.input_types[0].shape[:2])
    return nn.AvgPool2d(
        kernel_size=size,
        stride=stride,
        padding=(top, left),
        ceil_mode=False,
        count_include_pad=False,
        divisor_override=None,
    )


class UnevenAvgPool2d(nn.Module):
    """Average over real cells where more is padded after than before.

    Shapes: (N, C, H, W) -> (N, C, H', W').
    """

    def __init__(self, size: tuple[int, int], stride: tuple[int, int], added: Pads, spatial: tuple[int, ...]) -> None:
        super().__init__()
        self.size, self.stride = size, stride
        (top, bottom), (left, right) = added
        self.pad = (left, right, top, bottom)
        share = self._mean(torch.ones(1, 1, *spatial, dtype=torch.float64))
        self.register_buffer("share", share, persistent=False)

    def _mean(self, x: torch.Tensor) -> torch.Tensor:
        padded = F.pad(x, self.pad, mode="constant", value=0.0)
        return F.avg_pool2d(
            padded,
            kernel_size=self.size,
            stride=self.stride,
            padding=0,
            ceil_mode=False,
            count_include_pad=True,
            divisor_override=None,  # a sum (1) would be simpler, but the ONNX exporter ignores it
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._mean(x) / self.share.to(x.dtype)

    def extra_repr(self) -> str:
        return f"kernel_size={self.size}, stride={self.stride}, pad={self.pad}"


@lowers(GlobalAvgPool2D)
def global_avg_pool2d(layer: GlobalAvgPool2D, node: Node) -> nn.Module:
    return GlobalAvgPool2d()


class GlobalAvgPool2d(nn.Module):
    """Mean over height and width: (N, C, H, W) -> (N, C)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(2, 3))


@lowers(GlobalMaxPool2D)
def global_max_pool2d(layer: GlobalMaxPool2D, node: Node) -> nn.Module:
    return GlobalMaxPool2d()


class GlobalMaxPool2d(nn.Module):
    """Maximum over height and width, equal values sharing the gradient: (N, C, H, W) -> (N, C)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.amax(dim=(2, 3))
