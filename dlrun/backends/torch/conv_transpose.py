"""Transposed convolutions in torch."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn
from torch.nn.utils import skip_init

from dlrun.backends.torch.layout import laid_out
from dlrun.backends.torch.lowering import lowers
from dlrun.graph import Node
from dlrun.layers import conv_transpose
from dlrun.layers.window import per_axis

_CONVS = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


@lowers(conv_transpose.Conv1DTranspose, kernel="weight")
@lowers(conv_transpose.Conv2DTranspose, kernel="weight")
@lowers(conv_transpose.Conv3DTranspose, kernel="weight")
def transposed_convolution(layer: conv_transpose.ConvTranspose, node: Node) -> nn.Module:
    (x,) = node.input_types
    rank = layer.rank
    cuts = layer.cuts(x.shape[:rank])
    # Torch takes `before` cells away on both sides and gives `output_padding` of them back at the end.
    given_back = tuple(cut.beyond + cut.before for cut in cuts)
    native = skip_init(
        _CONVS[rank],
        in_channels=x.shape[-1],
        out_channels=layer.filters,
        kernel_size=per_axis(layer.kernel, rank),
        stride=per_axis(layer.stride, rank),
        padding=tuple(cut.before for cut in cuts),
        output_padding=tuple(max(cells, 0) for cells in given_back),
        groups=1,
        bias=layer.bias,
        dilation=1,
        padding_mode="zeros",
    )
    if min(given_back) >= 0:
        return laid_out(native, rank)
    crop = Crop(tuple(min(cells, 0) for cells in given_back))
    return laid_out(nn.Sequential(OrderedDict(conv=native, crop=crop)), rank)


class Crop(nn.Module):
    """Cells taken away at the end of each spatial axis: (N, C, *) -> (N, C, *).

    Args:
        cells: How many on each axis, below zero or zero.
    """

    def __init__(self, cells: tuple[int, ...]) -> None:
        super().__init__()
        self.cells = cells

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for axis, cells in enumerate(self.cells, 2):
            x = x.narrow(axis, 0, x.shape[axis] + cells)
        return x

    def extra_repr(self) -> str:
        return f"cells={self.cells}"
