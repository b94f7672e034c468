"""Parts of images taken out."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt, Le

from dlrun.data.augment.crop import Length
from dlrun.data.augment.values import Probability, Share, from_unit, require_order, stored
from dlrun.data.augmentation import ImageAugmentation, augmentations
from dlrun.data.draws import Draws
from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType

_TRIES = 10
"""Rectangles that are drawn for a sample until one fits."""


def inside(low: np.ndarray, high: np.ndarray, length: int) -> np.ndarray:
    """Which places of an axis lie in [low, high): (N,), (N,) -> bool (N, length)."""
    places = np.arange(length)
    found: np.ndarray = (places >= low[:, None]) & (places < high[:, None])
    return found


def rectangles(
    tops: np.ndarray, bottoms: np.ndarray, lefts: np.ndarray, rights: np.ndarray, x: np.ndarray
) -> np.ndarray:
    """Where each sample's rectangle is, bool (N, H, W)."""
    found: np.ndarray = inside(tops, bottoms, x.shape[1])[:, :, None] & inside(lefts, rights, x.shape[2])[:, None, :]
    return found


@augmentations("cutout")
class Cutout(ImageAugmentation):
    """Hide squares of images.

    The centre of each square is a pixel of the image, each equally likely, so that a square may reach beyond the edge.

    Args:
        size: Length of a side in pixels, or height and width.
        count: Squares in each image; they may overlap.
        fill: What stands there, a value of the unit range.
        probability: How likely an image is changed.

    Shapes: (N, H, W, C) -> (N, H, W, C).
    Errors: wrong-rank, wrong-dtype, wrong-size.
    Differs: the paper hides after normalisation, where 0 is the mean: give the mean as `fill` for that.
    Source: DeVries & Taylor 2017 (16 for CIFAR-10, 8 for CIFAR-100).
    """

    size: Length | tuple[Length, Length] = 16
    count: Annotated[int, Gt(0)] = 1
    fill: Share = 0.0
    probability: Probability = 1.0

    def infer(self, x: TensorType) -> TensorType:
        super().infer(x)
        height, width = self.size if isinstance(self.size, tuple) else (self.size, self.size)
        if height >= 2 * x.shape[0] and width >= 2 * x.shape[1]:
            raise DlrunError(
                "wrong-size",
                f"`{self.kind}.size` of {height} by {width} hides all of every image {x}.",
                path=("size",),
                hint=f"Write a smaller one, e.g. `{max(1, min(x.shape[:2]) // 2)}`.",
            )
        return x

    def apply(self, x: np.ndarray, draws: Draws, top: float) -> np.ndarray:
        height, width = self.size if isinstance(self.size, tuple) else (self.size, self.size)
        tops = draws.integers("row", 0, x.shape[1], self.count) - height // 2
        lefts = draws.integers("column", 0, x.shape[2], self.count) - width // 2
        hidden = np.zeros(x.shape[:3], bool)
        for k in range(self.count):
            hidden |= rectangles(tops[:, k], tops[:, k] + height, lefts[:, k], lefts[:, k] + width, x)
        hidden &= draws.chance("chosen", self.probability)[:, None, None]
        out = x.copy()
        out[hidden] = stored(self.fill, top, x.dtype)
        return out


@augmentations("random_erasing")
class RandomErasing(ImageAugmentation):
    """Hide a rectangle of random size and shape.

    Its share of the image's area is uniform in `area`, its height divided by its width log-uniform in `aspect`; of ten
    such draws the first that is smaller than the image in both directions counts, at a place where it fits, each
    equally likely. Where none fits, the image stays as it is.

    Args:
        area: Smallest and largest share of the image's area.
        aspect: Smallest and largest height divided by width.
        fill: What stands there: a value of the unit range, or `noise` for a value of its own for each number, uniform
            in the unit range.
        probability: How likely an image is changed.

    Shapes: (N, H, W, C) -> (N, H, W, C).
    Errors: wrong-rank, wrong-dtype, range-order.
    Differs: torchvision's RandomErasing fills normalised images, at random by the unit normal distribution.
    Source: Zhong et al. 2020.
    """

    area: tuple[Annotated[float, Gt(0), Le(1)], Annotated[float, Gt(0), Le(1)]] = (0.02, 1 / 3)
    aspect: tuple[Annotated[float, Gt(0)], Annotated[float, Gt(0)]] = (0.3, 1 / 0.3)
    fill: Share | Literal["noise"] = 0.0
    probability: Probability = 0.5

    def infer(self, x: TensorType) -> TensorType:
        require_order(self.kind, area=self.area, aspect=self.aspect)
        return super().infer(x)

    def apply(self, x: np.ndarray, draws: Draws, top: float) -> np.ndarray:
        hidden = self.hidden(x, draws)
        out = x.copy()
        if self.fill != "noise":
            out[hidden] = stored(self.fill, top, x.dtype)
            return out
        for i in np.flatnonzero(hidden.any(axis=(1, 2))).tolist():
            noise = draws.one(i).uniform("noise", count=x[i].size).reshape(x[i].shape)
            out[i][hidden[i]] = from_unit(noise[hidden[i]], x.dtype, top)
        return out

    def hidden(self, x: np.ndarray, draws: Draws) -> np.ndarray:
        """What is taken out, bool (N, H, W)."""
        height, width = x.shape[1:3]
        area = draws.uniform("area", *self.area, _TRIES) * height * width
        aspect = np.exp(draws.uniform("aspect", math.log(self.aspect[0]), math.log(self.aspect[1]), _TRIES))
        heights, widths = (np.rint(np.sqrt(v)).astype(np.int64) for v in (area * aspect, area / aspect))
        fits = (heights < height) & (widths < width)
        first = fits.argmax(1)[:, None]
        h, w = np.take_along_axis(heights, first, 1), np.take_along_axis(widths, first, 1)
        chosen = fits.any(1) & draws.chance("chosen", self.probability)
        tops = draws.integers("top", 0, np.maximum(height - h + 1, 1))
        lefts = draws.integers("left", 0, np.maximum(width - w + 1, 1))
        found = rectangles(tops[:, 0], (tops + h)[:, 0], lefts[:, 0], (lefts + w)[:, 0], x)
        found &= chosen[:, None, None]
        return found
