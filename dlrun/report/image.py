"""Stored samples as small pictures. Pillow is imported when the first one is made."""

from __future__ import annotations

import io

import numpy as np

from dlrun.data.source import Signature

LARGEST = 160
"""Longer sides are scaled down to it, in pixels."""


def png(pixels: np.ndarray) -> bytes:
    """A PNG file of 8-bit pixels: (H, W) or (H, W, 1) grey, (H, W, 3) RGB, (H, W, 4) RGB with alpha."""
    from PIL.Image import fromarray

    file = io.BytesIO()
    fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels).save(file, format="PNG")
    return file.getvalue()


def are_images(signature: Signature) -> bool:
    """Whether samples are pictures: numbers of shape (height, width, 1, 3 or 4), not the rows of a table."""
    shape = signature.input.shape
    numbers = signature.input.dtype == "float" and not signature.columns
    return numbers and len(shape) == 3 and shape[-1] in (1, 3, 4) and min(shape[:2]) > 1


def thumbnail(sample: np.ndarray, signature: Signature) -> tuple[bytes, tuple[int, int]]:
    """A stored sample (H, W, C) as a PNG, at most ``LARGEST`` wide and high, and the sample's (width, height).

    Values between 0 and what stands for 1 are shown as they are, others stretched from the lowest to the highest.
    """
    from PIL import Image

    x = np.asarray(sample, np.float64)
    low, high = (0.0, signature.top)
    if not (x.min() >= low and x.max() <= high):
        low, high = float(np.nanmin(x)), float(np.nanmax(x))
    pixels = np.round(np.clip(np.nan_to_num((x - low) / max(high - low, 1e-30)), 0, 1) * 255).astype(np.uint8)
    height, width = pixels.shape[:2]
    if max(height, width) > LARGEST:
        image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
        image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
        pixels = np.asarray(image)
    return png(pixels), (width, height)
