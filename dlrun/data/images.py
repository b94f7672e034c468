"""Image files as arrays. Pillow is imported when the first image is read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dlrun.errors import DlrunError

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from PIL.Image import Image

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp"})
"""Endings of file names that count as images, in lower case."""

_PART = 8
"""Images a thread decodes in one go."""


def read_image(path: str | Path, shape: tuple[int, int, int]) -> np.ndarray:
    """One image, converted to grey (1 channel) or RGB (3) and resized (bilinear) if its size differs.

    Values are as the file has them: nothing is inverted, dark stays dark. Transparency is dropped.

    Shapes: ``shape`` (height, width, channels) -> uint8 of that shape.

    Raises:
        DlrunError: ``unreadable-image``, naming the file.
    """
    from PIL import Image

    height, width, channels = shape
    try:
        with Image.open(path) as image:
            pixels = image if image.mode in ("L", "RGB") else _eight_bit(image)
            pixels = pixels.convert("L" if channels == 1 else "RGB")
            if pixels.size != (width, height):
                pixels = pixels.resize((width, height), Image.Resampling.BILINEAR)
            return np.asarray(pixels, np.uint8).reshape(shape)
    except Exception as error:  # a damaged file makes Pillow raise almost anything
        raise DlrunError(
            "unreadable-image",
            f"`{path}` is not a readable image: {_reason(error)}.",
            hint="Replace or remove the file. PNG, JPEG, BMP and WebP are read.",
        ) from error


def read_images(paths: Sequence[str | Path], shape: tuple[int, int, int]) -> np.ndarray:
    """Several images, decoded by a few threads (Pillow releases the interpreter lock while it works).

    Shapes: ``shape`` (height, width, channels) -> uint8 (len(paths), *shape).

    Raises:
        DlrunError: ``unreadable-image`` of the first bad file.
    """
    out = np.empty((len(paths), *shape), np.uint8)

    def decode(rows: range) -> None:
        for row in rows:
            out[row] = read_image(paths[row], shape)

    parts = [range(i, min(i + _PART, len(paths))) for i in range(0, len(paths), _PART)]
    if len(parts) < 2:
        decode(range(len(paths)))
        return out
    for _ in _pool().map(decode, parts):
        pass
    return out


@cache
def _pool() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return ThreadPoolExecutor(min(8, cores), thread_name_prefix="dlrun-decode")


def _eight_bit(image: Image) -> Image:
    """16-bit grey cut down to its high byte (Pillow's own conversion clips at 255)."""
    if not image.mode.startswith("I"):
        return image
    from PIL.Image import fromarray

    return fromarray(np.clip(np.asarray(image).astype(np.int64) >> 8, 0, 255).astype(np.uint8))


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if type(error).__name__ == "UnidentifiedImageError":  # its text is the path again
        return "it has no known image format"
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
