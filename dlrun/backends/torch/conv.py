"""Convolutions in torch."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn
from torch.nn.utils import skip_init

from dlrun.backends.processor import thin_first
from dlrun.backends.torch.layout import laid_out
from dlrun.backends.torch.lowering import lowers
from dlrun.graph import Node
from dlrun.layers import conv
from dlrun.layers.window import Pads, Window

_CONVS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_PADS = {1: nn.ZeroPad1d, 2: nn.ZeroPad2d, 3: nn.ZeroPad3d}


@lowers(conv.Conv1D, kernel="weight")
@lowers(conv.Conv2D, kernel="weight")
@lowers(conv.Conv3D, kernel="weight")
def convolution(layer: conv.Conv, node: Node) -> nn.Module:
    (x,) = node.input_types
    return convolve(layer.window(), layer.pads(x), x.shape[-1], layer.filters, layer.groups, layer.bias)


def convolve(window: Window, added: Pads, channels: int, filters: int, groups: int, bias: bool) -> nn.Module:
    """A native convolution of what flows through the model, after padding where torch's own has no such padding.

    Args:
        window: The kernel.
        added: Zeros added (before, after) on each axis.
        channels: Of the input.
        filters: Of the output.
        groups: Parts into which both are cut.
        bias: Whether it has one.
    """
    rank = len(window.size)
    symmetric = all(before == after for before, after in added)
    thinned = thin_first(window, channels) and groups == 1 and not any(cells for pair in added for cells in pair)
    native = skip_init(
        _CONVS[rank],
        in_channels=channels,
        out_channels=filters,
        kernel_size=window.size,
        stride=(1, 1) if thinned else window.stride,
        padding=tuple(before for before, _ in added) if symmetric else (0,) * rank,
        dilation=window.dilation,
        groups=groups,
        bias=bias,
        padding_mode="zeros",
    )
    if thinned:  # the places that the kernel visits, and then all of these: the same numbers
        native = nn.Sequential(OrderedDict(visited=nn.AvgPool2d(1, window.stride), conv=native))
    if symmetric:
        return laid_out(native, rank)
    pad = _PADS[rank](padding=outside_in(added))
    return laid_out(nn.Sequential(OrderedDict(pad=pad, conv=native)), rank)


def outside_in(added: Pads) -> tuple[int, ...]:
    """Padding as torch lists it: the last axis first."""
    return tuple(cells for pair in reversed(added) for cells in pair)
