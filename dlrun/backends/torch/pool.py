"""Pooling over windows in torch."""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn

from dlrun.backends.torch.conv import outside_in
from dlrun.backends.torch.layout import laid_out
from dlrun.backends.torch.lowering import lowers
from dlrun.graph import Node
from dlrun.layers import pool
from dlrun.layers.window import Pads, Window

_MAX = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
_AVG = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
_MEANS = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
_PADS = {1: nn.ConstantPad1d, 2: nn.ConstantPad2d, 3: nn.ConstantPad3d}


def native_padding(window: Window, added: Pads) -> tuple[int, ...] | None:
    """The padding as torch's pooling takes it, equal on both sides and at most half a window; None if it is not."""
    if all(before == after and 2 * before <= k for k, (before, after) in zip(window.size, added, strict=True)):
        return tuple(before for before, _ in added)
    return None


def max_windows(window: Window, padding: tuple[int, ...], ceil: bool) -> nn.Module:
    """Torch's own maximum over windows."""
    return _MAX[len(padding)](
        kernel_size=window.size,
        stride=window.stride,
        padding=padding,
        dilation=1,
        return_indices=False,
        ceil_mode=ceil,
    )


def avg_windows(window: Window, padding: tuple[int, ...], count_padding: bool) -> nn.Module:
    """Torch's own mean over windows."""
    further = {} if len(padding) == 1 else {"divisor_override": None}
    return _AVG[len(padding)](
        kernel_size=window.size,
        stride=window.stride,
        padding=padding,
        ceil_mode=False,
        count_include_pad=count_padding,
        **further,
    )


@lowers(pool.MaxPool1D)
@lowers(pool.MaxPool2D)
@lowers(pool.MaxPool3D)
def max_pool(layer: pool.Pool, node: Node) -> nn.Module:
    window, spatial = layer.window(), node.input_types[0].shape[: layer.rank]
    padding = native_padding(window, window.pads(spatial))
    if padding is not None:
        return laid_out(max_windows(window, padding, ceil=any(window.overhang(spatial))), layer.rank)
    pad = _PADS[layer.rank](padding=outside_in(window.covered(spatial)), value=-math.inf)
    native = max_windows(window, (0,) * layer.rank, ceil=False)
    return laid_out(nn.Sequential(OrderedDict(pad=pad, pool=native)), layer.rank)


@lowers(pool.AvgPool1D)
@lowers(pool.AvgPool2D)
@lowers(pool.AvgPool3D)
def avg_pool(layer: pool.AvgPool, node: Node) -> nn.Module:
    (x,) = node.input_types
    window, spatial = layer.window(), x.shape[: layer.rank]
    padding = native_padding(window, window.pads(spatial))
    if padding is None or any(window.overhang(spatial)):
        return laid_out(UnevenAvgPool(layer, x.shape), layer.rank)
    return laid_out(avg_windows(window, padding, layer.count_padding), layer.rank)


class UnevenAvgPool(nn.Module):
    """Average where torch has no such padding: more on one side, or windows beyond the end.

    Args:
        layer: What to do.
        shape: Canonical shape of one sample.

    Shapes: (N, C, *) -> (N, C, *).
    """

    def __init__(self, layer: pool.AvgPool, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.window = layer.window()
        self.pad = outside_in(self.window.covered(shape[: layer.rank]))
        # every window's mean is taken over its full size, which the cells that do not count make too large
        cells = torch.from_numpy(layer.cells(shape))
        share = (cells / math.prod(self.window.size)).movedim(-1, 0)[None]
        self.register_buffer("share", share, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        padded = F.pad(x, self.pad, mode="constant", value=0.0)
        # a sum (divisor_override=1) would be simpler, but the ONNX exporter ignores it
        mean = _MEANS[len(self.window.size)](
            padded,
            kernel_size=self.window.size,
            stride=self.window.stride,
            padding=0,
            ceil_mode=False,
            count_include_pad=True,
        )
        return mean / self.share.to(x.dtype)

    def extra_repr(self) -> str:
        return f"kernel_size={self.window.size}, stride={self.window.stride}, pad={self.pad}"
