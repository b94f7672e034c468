"""Pooling to a fixed number of cells, or to one, in torch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from dlrun.backends.torch.layout import laid_out
from dlrun.backends.torch.lowering import lowers
from dlrun.backends.torch.pool import avg_windows, max_windows
from dlrun.graph import Node
from dlrun.layers import pool_whole
from dlrun.layers.window import per_axis

_AVG = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}
_MAX = {1: nn.AdaptiveMaxPool1d, 2: nn.AdaptiveMaxPool2d, 3: nn.AdaptiveMaxPool3d}


@lowers(pool_whole.AdaptiveAvgPool1D)
@lowers(pool_whole.AdaptiveAvgPool2D)
@lowers(pool_whole.AdaptiveAvgPool3D)
def adaptive_avg_pool(layer: pool_whole.AdaptivePool, node: Node) -> nn.Module:
    window, size = layer.even(node.input_types[0].shape[: layer.rank]), per_axis(layer.size, layer.rank)
    if window is None or max(size) == 1:
        bins = layer.bins(node.input_types[0].shape[: layer.rank])
        return laid_out(UnevenPool(_AVG[layer.rank](output_size=size), bins, torch.mean), layer.rank)
    # the same numbers, but known to every exporter and reproducible on every device
    return laid_out(avg_windows(window, (0,) * layer.rank, count_padding=False), layer.rank)


@lowers(pool_whole.AdaptiveMaxPool1D)
@lowers(pool_whole.AdaptiveMaxPool2D)
@lowers(pool_whole.AdaptiveMaxPool3D)
def adaptive_max_pool(layer: pool_whole.AdaptivePool, node: Node) -> nn.Module:
    window, size = layer.even(node.input_types[0].shape[: layer.rank]), per_axis(layer.size, layer.rank)
    if window is None:
        bins = layer.bins(node.input_types[0].shape[: layer.rank])
        native = _MAX[layer.rank](output_size=size, return_indices=False)
        return laid_out(UnevenPool(native, bins, torch.amax), layer.rank)
    return laid_out(max_windows(window, (0,) * layer.rank, ceil=False), layer.rank)


@lowers(pool_whole.GlobalAvgPool1D)
@lowers(pool_whole.GlobalAvgPool2D)
@lowers(pool_whole.GlobalAvgPool3D)
def global_avg_pool(layer: pool_whole.GlobalPool, node: Node) -> nn.Module:
    return MaskedAvgPool() if len(node.inputs) > 1 else GlobalAvgPool(_spatial(layer))


@lowers(pool_whole.GlobalMaxPool1D)
@lowers(pool_whole.GlobalMaxPool2D)
@lowers(pool_whole.GlobalMaxPool3D)
def global_max_pool(layer: pool_whole.GlobalPool, node: Node) -> nn.Module:
    return MaskedMaxPool() if len(node.inputs) > 1 else GlobalMaxPool(_spatial(layer))


class UnevenPool(nn.Module):
    """Torch's own pooling over uneven bins, which ONNX does not know: for an artefact, bin by bin.

    Args:
        native: From (N, C, *) to (N, C, *size).
        bins: For each axis and each output cell, the first cell it reads and the one after its last.
        over: What is taken over the cells of one axis.
    """

    def __init__(
        self, native: nn.Module, bins: tuple[tuple[tuple[int, int], ...], ...], over: Callable[..., torch.Tensor]
    ) -> None:
        super().__init__()
        self.native = native
        self.bins = bins
        self.over = over

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not torch.compiler.is_exporting():
            return self.native(x)
        for axis, ranges in enumerate(self.bins, 2):
            parts = [self.over(x.narrow(axis, first, end - first), dim=axis, keepdim=True) for first, end in ranges]
            x = torch.cat(parts, dim=axis)
        return x


def _spatial(layer: pool_whole.GlobalPool) -> tuple[int, ...]:
    """Native spatial axes: only images are channels first."""
    return (2, 3) if layer.rank == 2 else tuple(range(1, layer.rank + 1))


class _Whole(nn.Module):
    """Over all spatial axes at once.

    Args:
        dims: Those axes.
    """

    def __init__(self, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.dims = dims

    def extra_repr(self) -> str:
        return f"dims={self.dims}"


class GlobalAvgPool(_Whole):
    """Mean over the spatial axes: (N, C, H, W) or (N, *, C) -> (N, C)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=self.dims)


class GlobalMaxPool(_Whole):
    """Maximum over the spatial axes, equal values sharing the gradient: (N, C, H, W) or (N, *, C) -> (N, C)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.amax(dim=self.dims)


class MaskedAvgPool(nn.Module):
    """Mean of the positions that a mask keeps, 0 where it keeps none: (N, L, C), (N, L) -> (N, C)."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        kept = (mask != 0).unsqueeze(-1)
        total = x.masked_fill(~kept, 0.0).sum(dim=1)
        return total / kept.sum(dim=1).clamp(min=1).to(x.dtype)


class MaskedMaxPool(nn.Module):
    """Maximum of the positions that a mask keeps, 0 where it keeps none: (N, L, C), (N, L) -> (N, C)."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        kept = (mask != 0).unsqueeze(-1)
        largest = x.masked_fill(~kept, -torch.inf).amax(dim=1)
        return torch.where(kept.any(dim=1), largest, 0.0)
