"""Where channels sit: last in dlrun, axis 1 for images in torch.

A sample with three axes is an image and becomes (N, C, H, W), a ``channels_last`` view of the
canonical (N, H, W, C) that costs nothing. Everything else keeps its canonical axes.
"""

from __future__ import annotations

import torch

from dlrun.graph import TensorType

IMAGE_RANK = 3


def channel_axis(x: TensorType) -> int:
    """The native axis of the canonical last one."""
    return 1 if x.rank == IMAGE_RANK else -1


def to_native(x: torch.Tensor) -> torch.Tensor:
    """(N, H, W, C) -> (N, C, H, W), a view; other ranks unchanged."""
    return x.permute(0, 3, 1, 2) if x.dim() == IMAGE_RANK + 1 else x


def to_canonical(x: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) -> (N, H, W, C), a view; other ranks unchanged."""
    return x.permute(0, 2, 3, 1) if x.dim() == IMAGE_RANK + 1 else x
