"""Maps made larger or smaller, in torch."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from dlrun.backends.torch.layout import to_canonical, to_native
from dlrun.backends.torch.lowering import lowers
from dlrun.graph import Node
from dlrun.layers.resize import Resize, nearest_cells


@lowers(Resize)
def resize(layer: Resize, node: Node) -> nn.Module:
    old, new = node.input_types[0].shape[:-1], node.output.shape[:-1]
    if layer.method == "nearest" and any(m % n for n, m in zip(old, new, strict=True)):
        return NearestCells(old, new)
    return Interpolate(old, new, layer.method, layer.align_corners)


class Interpolate(nn.Module):
    """Torch's interpolation of images; of other maps one axis after the other, as the height of an image.

    Args:
        old: Length of each axis but the last.
        new: Its length afterwards.
        method: ``bilinear``; ``nearest`` for whole factors, at which rounding cannot choose another cell.
        align_corners: Whether first and last cells' centres stay where they are.

    Shapes: (N, *old, C) -> (N, *new, C), in native layout.
    """

    def __init__(self, old: tuple[int, ...], new: tuple[int, ...], method: str, align_corners: bool) -> None:
        super().__init__()
        self.old, self.new = old, new
        self.method = method
        self.align_corners = align_corners

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(self.new) == 2:
            return self._image(x, self.new)
        channels, shape = x.shape[-1], list(self.old)
        for axis, wanted in enumerate(self.new):  # linear interpolation is separable
            after = math.prod(shape[axis + 1 :])
            images = x.reshape(-1, shape[axis], after, channels)
            x = to_canonical(self._image(to_native(images), (wanted, after)))
            shape[axis] = wanted
        return x.reshape(-1, *self.new, channels)

    def _image(self, x_nchw: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
        nearest = self.method == "nearest"
        return F.interpolate(
            x_nchw,
            size=size,
            mode="nearest-exact" if nearest else "bilinear",
            align_corners=None if nearest else self.align_corners,
            antialias=False,
        )

    def extra_repr(self) -> str:
        return f"size={self.new}, method={self.method}, align_corners={self.align_corners}"


class NearestCells(nn.Module):
    """Each position's nearest cell, picked by number: torch's own choice depends on float32 rounding.

    Args:
        old: Length of each axis but the last.
        new: Its length afterwards.

    Shapes: (N, *old, C) -> (N, *new, C), in native layout.
    """

    def __init__(self, old: tuple[int, ...], new: tuple[int, ...]) -> None:
        super().__init__()
        for axis, (n, m) in enumerate(zip(old, new, strict=True)):
            self.register_buffer(f"cells{axis}", torch.from_numpy(nearest_cells(n, m)), persistent=False)
        self.axes = len(old)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = 2 if self.axes == 2 else 1
        for axis in range(self.axes):
            x = torch.index_select(x, first + axis, getattr(self, f"cells{axis}"))
        return x
