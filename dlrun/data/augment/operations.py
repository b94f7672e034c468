"""What the policies choose from: named changes of 8-bit images, each of a magnitude, done by Pillow."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dlrun.data.augment.bands import Interpolation, resampling, through_pillow
from dlrun.data.augment.values import from_unit, to_unit

if TYPE_CHECKING:
    from PIL.Image import Image


def eight_bit(kind: str, x: np.ndarray, top: float) -> np.ndarray:
    """8-bit images of 0 to ``top`` stretched to 0 to 255, a new array."""
    return x.copy() if top == 255 else from_unit(to_unit(kind, x, top), np.dtype(np.uint8), 255)


def from_eight_bit(x: np.ndarray, top: float) -> np.ndarray:
    """What ``eight_bit`` stretched as it was."""
    return x if top == 255 else np.rint(x * np.float32(top / 255)).astype(np.uint8)


def equalized(sample: np.ndarray) -> np.ndarray:
    """A sample (H, W, C) of 0 to 255 whose values are equally frequent in each channel."""
    from PIL import ImageOps

    return through_pillow(sample, ImageOps.equalize)


@dataclass(frozen=True)
class Canvas:
    """How geometric operations draw.

    Args:
        interpolation: How values between pixels are got.
        fill: What stands where nothing came, 0 to 255.
    """

    interpolation: Interpolation
    fill: int


def _mapped(image: Image, canvas: Canvas, *coefficients: float) -> Image:
    from PIL.Image import Transform

    color = (canvas.fill,) * 3 if image.mode == "RGB" else canvas.fill
    how = resampling(canvas.interpolation)
    return image.transform(image.size, Transform.AFFINE, coefficients, how, fillcolor=color)


def _identity(image: Image, magnitude: float, canvas: Canvas) -> Image:
    return image


def _shear_x(image: Image, magnitude: float, canvas: Canvas) -> Image:
    return _mapped(image, canvas, 1, magnitude, 0, 0, 1, 0)


def _shear_y(image: Image, magnitude: float, canvas: Canvas) -> Image:
    return _mapped(image, canvas, 1, 0, 0, magnitude, 1, 0)


def _translate_x(image: Image, magnitude: float, canvas: Canvas) -> Image:
    return _mapped(image, canvas, 1, 0, -int(magnitude), 0, 1, 0)


def _translate_y(image: Image, magnitude: float, canvas: Canvas) -> Image:
    return _mapped(image, canvas, 1, 0, 0, 0, 1, -int(magnitude))


def _rotate(image: Image, magnitude: float, canvas: Canvas) -> Image:
    color = (canvas.fill,) * 3 if image.mode == "RGB" else canvas.fill
    return image.rotate(magnitude, resampling(canvas.interpolation), fillcolor=color)


def _enhanced(name: str) -> Callable[[Image, float, Canvas], Image]:
    def change(image: Image, magnitude: float, canvas: Canvas) -> Image:
        from PIL import ImageEnhance

        enhanced: Image = getattr(ImageEnhance, name)(image).enhance(1 + magnitude)
        return enhanced

    return change


def _posterize(image: Image, magnitude: float, canvas: Canvas) -> Image:
    from PIL import ImageOps

    return ImageOps.posterize(image, int(magnitude))


def _solarize(image: Image, magnitude: float, canvas: Canvas) -> Image:
    from PIL import ImageOps

    return ImageOps.solarize(image, math.ceil(magnitude))  # bytes are below a number or its next integer alike


def _autocontrast(image: Image, magnitude: float, canvas: Canvas) -> Image:
    from PIL import ImageOps

    return ImageOps.autocontrast(image)


def _equalize(image: Image, magnitude: float, canvas: Canvas) -> Image:
    from PIL import ImageOps

    return ImageOps.equalize(image)


def _invert(image: Image, magnitude: float, canvas: Canvas) -> Image:
    from PIL import ImageOps

    return ImageOps.invert(image)


OPERATIONS: dict[str, Callable[[Image, float, Canvas], Image]] = {
    "identity": _identity,
    "shear_x": _shear_x,
    "shear_y": _shear_y,
    "translate_x": _translate_x,
    "translate_y": _translate_y,
    "rotate": _rotate,
    "brightness": _enhanced("Brightness"),
    "color": _enhanced("Color"),
    "contrast": _enhanced("Contrast"),
    "sharpness": _enhanced("Sharpness"),
    "posterize": _posterize,
    "solarize": _solarize,
    "autocontrast": _autocontrast,
    "equalize": _equalize,
    "invert": _invert,
}
"""Each by its name: a pure function of an image of mode L or RGB, a magnitude and how to draw."""
SIGNED = frozenset(
    {"shear_x", "shear_y", "translate_x", "translate_y", "rotate", "brightness", "color", "contrast", "sharpness"}
)
"""Those whose magnitude goes either way."""


@dataclass(frozen=True)
class Step:
    """One operation on one image.

    Args:
        name: Which.
        magnitude: As the operation reads it.
    """

    name: str
    magnitude: float


def applied(sample: np.ndarray, steps: list[Step], canvas: Canvas) -> np.ndarray:
    """A sample of 0 to 255 after some operations, (H, W, 1 or 3) -> the same."""

    def change(image: Image) -> Image:
        for step in steps:
            image = OPERATIONS[step.name](image, step.magnitude, canvas)
        return image

    return through_pillow(sample, change)
