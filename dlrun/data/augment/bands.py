"""Samples as Pillow's images. Pillow is imported when the first one is changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image, Resampling

Interpolation = Literal["nearest", "bilinear"]


def resampling(name: Interpolation) -> Resampling:
    """What Pillow calls it."""
    from PIL.Image import Resampling

    return {"nearest": Resampling.NEAREST, "bilinear": Resampling.BILINEAR}[name]


def through_pillow(sample: np.ndarray, change: Callable[[Image], Image]) -> np.ndarray:
    """One sample changed by Pillow: 8-bit grey and RGB at once, everything else channel by channel.

    Args:
        sample: As stored, uint8 or float32.
        change: A pure function of an image of mode L or RGB, or F where samples are no bytes.

    Shapes: (H, W, C) -> (height, width, C).
    """
    from PIL.Image import fromarray

    if sample.dtype == np.uint8 and sample.shape[-1] == 3:
        return np.asarray(change(fromarray(np.ascontiguousarray(sample))))
    plain = sample.astype(np.uint8 if sample.dtype == np.uint8 else np.float32, copy=False)
    changed = [np.asarray(change(fromarray(np.ascontiguousarray(plain[..., c])))) for c in range(sample.shape[-1])]
    return np.stack(changed, axis=-1).astype(sample.dtype, copy=False)
