"""Pictures that a generating model makes, kept after each epoch."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np

from dlrun.backends.base import Engine
from dlrun.files import write_atomic
from dlrun.plan import Plan

COUNT = 64
"""How many pictures are in one grid."""


def keep_samples(plan: Plan, engine: Engine, folder: Path, epoch: int) -> Path:
    """Write what the model makes of the same noise after each epoch, as one picture.

    Args:
        plan: Of the run.
        engine: The model.
        folder: Where the pictures are.
        epoch: Epochs completed.
    """
    images = engine.infer(np.zeros((COUNT, *plan.graph.input.shape), plan.input_dtype))
    folder.mkdir(exist_ok=True)
    path = folder / f"epoch-{epoch:04d}.png"
    write_atomic(path, png(grid(images)))
    return path


def grid(images: np.ndarray) -> np.ndarray:
    """Images side by side in rows: (N, H, W, C) between -1 and 1 -> uint8 (rows H, columns W, C)."""
    count, height, width, channels = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    cells = np.full((rows * columns, height, width, channels), -1.0)
    cells[:count] = np.clip(images, -1, 1)
    whole = cells.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    found: np.ndarray = np.round((whole.reshape(rows * height, columns * width, channels) + 1) * 127.5)
    return found.astype(np.uint8)


def png(image: np.ndarray) -> bytes:
    """An image (H, W, 1 or 3) as a PNG file."""
    from PIL.Image import fromarray

    file = io.BytesIO()
    fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, format="PNG")
    return file.getvalue()
