"""Brightness, contrast and colours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from dlrun.data.augment.values import (
    NotNegative,
    Probability,
    blocks,
    from_unit,
    require_change,
    require_order,
    spread,
    to_unit,
)
from dlrun.data.augmentation import ImageAugmentation, augmentations
from dlrun.data.draws import Draws
from dlrun.graph.tensor import TensorType

Factors = NotNegative | tuple[NotNegative, NotNegative]
Turn = Annotated[float, Ge(-0.5), Le(0.5)]

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""What red, green and blue are worth in grey (ITU-R BT.601)."""


def grey(unit: np.ndarray) -> np.ndarray:
    """(N, H, W, 1 or 3) -> (N, H, W, 1)."""
    return unit if unit.shape[-1] == 1 else (unit @ _LUMA)[..., None]


def _brightness(unit: np.ndarray, factor: np.ndarray) -> np.ndarray:
    changed: np.ndarray = unit * factor
    return changed


def _contrast(unit: np.ndarray, factor: np.ndarray) -> np.ndarray:
    mean = grey(unit).mean(axis=(1, 2, 3), keepdims=True, dtype=np.float64).astype(np.float32)
    changed: np.ndarray = mean + (unit - mean) * factor
    return changed


def _saturation(unit: np.ndarray, factor: np.ndarray) -> np.ndarray:
    plain = grey(unit)
    changed: np.ndarray = plain + (unit - plain) * factor
    return changed


def _hue(unit: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """The hue turned by a share of the circle, saturation and value of HSV kept."""
    high, low = unit.max(axis=-1), unit.min(axis=-1)
    r, g, b = unit[..., 0], unit[..., 1], unit[..., 2]
    delta = high - low
    safe = np.where(delta > 0, delta, 1)
    sixth = np.where(high == r, (g - b) / safe, np.where(high == g, 2 + (b - r) / safe, 4 + (r - g) / safe))
    sixth = sixth + 6 * shift[..., 0]
    bands = []
    for n in (5, 3, 1):  # red, green, blue: how far the hue is from where the band is least
        k = (n + sixth) % 6
        bands.append(high - delta * np.clip(np.minimum(k, 4 - k), 0, 1))
    return np.stack(bands, axis=-1).astype(np.float32)


_CHANGES: tuple[tuple[str, Callable[[np.ndarray, np.ndarray], np.ndarray]], ...] = (
    ("brightness", _brightness),
    ("contrast", _contrast),
    ("saturation", _saturation),
    ("hue", _hue),
)


@augmentations("color_jitter")
class ColorJitter(ImageAugmentation):
    """Change brightness, contrast, saturation and hue of images at random.

    With v a value of the unit range and f a factor uniform in its range: brightness f v; contrast m + f (v - m), with
    m the mean of the image in grey; saturation g + f (v - g), with g the pixel in grey, 0.299 R + 0.587 G + 0.114 B;
    hue turned by a share h of the circle of HSV. They follow one another in a random order for each image, what leaves
    the unit range is cut off after each, and 8-bit images are rounded at the end. In grey images saturation and hue
    change nothing.

    Args:
        brightness: Smallest and largest f; one number b stands for max(0, 1 - b) to 1 + b.
        contrast: The same for contrast.
        saturation: The same for saturation.
        hue: Smallest and largest h, in -0.5 to 0.5; one number h stands for -h to h.
        probability: How likely an image is changed.

    Shapes: (N, H, W, 1 or 3) -> the same.
    Errors: wrong-rank, wrong-dtype, channels-mismatch, range-order, nothing-to-change, outside-unit-range.
    Differs: torchvision's ColorJitter always changes and rounds 8-bit images after each step.
    Source: Howard 2013.
    """

    known_as = ("brightness", "contrast", "saturation", "hue")

    brightness: Factors = 0.0
    contrast: Factors = 0.0
    saturation: Factors = 0.0
    hue: Annotated[float, Ge(0), Le(0.5)] | tuple[Turn, Turn] = 0.0
    probability: Probability = 1.0

    bands = (1, 3)

    def infer(self, x: TensorType) -> TensorType:
        super().infer(x)
        given = {name: getattr(self, name) for name, _ in _CHANGES}
        require_order(self.kind, **given)
        require_change(self.kind, *given.values())
        return x

    def apply(self, x: np.ndarray, draws: Draws, top: float) -> np.ndarray:
        ranges = {
            "brightness": spread(self.brightness, 1, 0),
            "contrast": spread(self.contrast, 1, 0),
            "saturation": spread(self.saturation, 1, 0),
            "hue": spread(self.hue),
        }
        drawn = {n: draws.uniform(n, *r)[:, 0].astype(np.float32) for n, r in ranges.items() if getattr(self, n)}
        if x.shape[-1] == 1:
            drawn = {name: values for name, values in drawn.items() if name in ("brightness", "contrast")}
        order = np.argsort(draws.uniform("order", count=len(_CHANGES)), axis=1)
        chosen = draws.chance("chosen", self.probability)
        out = x.copy()
        for block in blocks(x):
            rows = block.start + np.flatnonzero(chosen[block])
            unit = to_unit(self.kind, x[rows], top)
            for step in range(len(_CHANGES)):
                for number, (name, change) in enumerate(_CHANGES):
                    now = np.flatnonzero(order[rows, step] == number)
                    if name in drawn and len(now):
                        unit[now] = np.clip(change(unit[now], drawn[name][rows[now], None, None, None]), 0, 1)
            out[rows] = from_unit(unit, x.dtype, top)
        return out


@augmentations("random_grayscale")
class RandomGrayscale(ImageAugmentation):
    """Take the colours out of images at random.

    Each channel of a chosen image becomes 0.299 R + 0.587 G + 0.114 B.

    Args:
        probability: How likely an image is changed.

    Shapes: (N, H, W, 3) -> (N, H, W, 3).
    Errors: wrong-rank, wrong-dtype, channels-mismatch, outside-unit-range.
    Differs: torchvision's RandomGrayscale has 0.1 as well and takes grey images too, which it does not change.
    Source: ITU-R BT.601 (weights).
    """

    probability: Probability = 0.1

    bands = (3,)

    def apply(self, x: np.ndarray, draws: Draws, top: float) -> np.ndarray:
        out = x.copy()
        chosen = np.flatnonzero(draws.chance("chosen", self.probability))
        out[chosen] = from_unit(grey(to_unit(self.kind, x[chosen], top)), x.dtype, top)
        return out
