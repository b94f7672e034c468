"""Where channels sit: last in dlrun, axis 1 for images in torch.

A sample with three axes is an image and becomes (N, C, H, W), a ``channels_last`` view of the
canonical (N, H, W, C) that costs nothing. Everything else keeps its canonical axes between layers:
most sequences (N, L, C) and samples of four axes are read by layers that want channels last.
Those that slide windows over them look at them channels first, again through a view (``laid_out``).
"""

from __future__ import annotations

import torch
from torch import nn

from dlrun.graph import TensorType

IMAGE_RANK = 3
_FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}
"""Memory formats of kernels, by how many axes they have."""


def channel_axis(x: TensorType) -> int:
    """The native axis of the canonical last one."""
    return 1 if x.rank == IMAGE_RANK else -1


def native_axis(x: TensorType, axis: int) -> int:
    """The native axis of a canonical one, which may be counted from the end."""
    axis %= x.rank
    if x.rank != IMAGE_RANK:
        return axis + 1
    return 1 if axis == IMAGE_RANK - 1 else axis + 2


def to_native(x: torch.Tensor) -> torch.Tensor:
    """(N, H, W, C) -> (N, C, H, W), a view; other ranks unchanged."""
    return x.permute(0, 3, 1, 2) if x.dim() == IMAGE_RANK + 1 else x


def to_canonical(x: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) -> (N, H, W, C), a view; other ranks unchanged."""
    return x.permute(0, 2, 3, 1) if x.dim() == IMAGE_RANK + 1 else x


def laid_out(module: nn.Module, rank: int) -> nn.Module:
    """A module that reads and writes channels first, fitted into the model.

    Args:
        module: From (N, C, *) to (N, C', *).
        rank: Number of spatial axes; with two, the model's tensors are channels first already.
    """
    return module if rank + 1 == IMAGE_RANK else ChannelsFirst(module)


class ChannelsFirst(nn.Module):
    """A channels-first module seen from outside as channels last: (N, *, C) -> (N, *, C').

    Args:
        inner: From (N, C, *) to (N, C', *).
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x.movedim(-1, 1)).movedim(1, -1)


def channels_last_kernels(module: nn.Module) -> None:
    """Store kernels of images and volumes as the channels-last tensors they meet want them."""
    for parameter in module.parameters():
        if parameter.dim() in _FORMATS:
            parameter.data = parameter.data.contiguous(memory_format=_FORMATS[parameter.dim()])
