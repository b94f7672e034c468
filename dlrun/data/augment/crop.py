"""Parts of images."""

from __future__ import annotations

import math
from operator import methodcaller
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Le

from dlrun.data.augment.bands import Interpolation, resampling, through_pillow
from dlrun.data.augment.values import Share, require_order, stored
from dlrun.data.augmentation import ImageAugmentation, augmentations
from dlrun.data.draws import Draws
from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType

Length = Annotated[int, Gt(0)]
Margin = Annotated[int, Ge(0)]

_TRIES = 10
"""Rectangles that are drawn for a sample until one fits."""


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def _windows(x: np.ndarray, tops: np.ndarray, lefts: np.ndarray, height: int, width: int) -> np.ndarray:
    """The part of each sample that begins at (top, left): (N, H, W, C) -> (N, height, width, C), a new array."""
    x = np.ascontiguousarray(x)
    n, rows, columns, channels = x.shape
    sample, row, column, value = x.strides
    # Rows of a part lie together in memory, so that they are copied as such.
    view = np.lib.stride_tricks.as_strided(
        x,
        (n, rows - height + 1, columns - width + 1, height, width * channels),
        (sample, row, column, row, value),
        writeable=False,
    )
    found: np.ndarray = view[np.arange(n), tops, lefts].reshape(n, height, width, channels)
    return found


@augmentations("random_crop")
class RandomCrop(ImageAugmentation):
    """Cut a part of fixed size out of images, at a random place.

    The image gets `padding` on all sides; then each place where a part of `size` fits is equally likely. Evaluation
    sees the part in the middle of the image as it is.

    Args:
        padding: Pixels added on each side: one number, or above and below, left and right.
        fill: What they hold: a value of the unit range, or `reflect` for the image mirrored at its outermost pixels.
        size: Height and width of the part, one number for both; the sample's own when left out.

    Shapes: (N, H, W, C) -> (N, height, width, C).
    Errors: wrong-rank, wrong-dtype, crop-too-large, nothing-to-crop, padding-too-large, labels-stay.
    Differs: torchvision's RandomCrop needs `size`, which may be larger than the image; Keras' RandomCrop has no padding
        and resizes in evaluation.
    Source: He et al. 2016 (4 pixels on each side of CIFAR-10's).
    """

    known_as = ("crop",)

    padding: Margin | tuple[Margin, Margin] = 0
    fill: Share | Literal["reflect"] = 0.0
    size: Length | tuple[Length, Length] | None = None

    moves = True
    in_evaluation = "{height} x {width} pixels (height, width) cut from the middle"

    def infer(self, x: TensorType) -> TensorType:
        super().infer(x)
        (height, width), padding = self._size(x.shape), _pair(self.padding)
        if height > x.shape[0] or width > x.shape[1]:
            raise DlrunError(
                "crop-too-large",
                f"`{self.kind}.size` is {height} by {width}, but samples have {x.shape[0]} by {x.shape[1]} pixels.",
                path=("size",),
            )
        if (height, width) == x.shape[:2] and padding == (0, 0):
            raise DlrunError(
                "nothing-to-crop",
                f"`{self.kind}` of `padding: 0` and the sample's own size leaves every sample as it is.",
                hint="Write `padding`, e.g. 4, or a smaller `size`.",
            )
        if self.fill == "reflect" and any(p >= length for p, length in zip(padding, x.shape[:2], strict=True)):
            raise DlrunError(
                "padding-too-large",
                f"`{self.kind}.padding` of `{max(padding)}` reaches beyond the mirrored image {x}.",
                path=("padding",),
            )
        return TensorType((height, width, x.shape[2]))

    def apply(self, x: np.ndarray, draws: Draws, top: float) -> np.ndarray:
        (height, width), padded = self._size(x.shape[1:]), self._padded(x, top)
        tops = draws.integers("top", 0, padded.shape[1] - height + 1)[:, 0]
        lefts = draws.integers("left", 0, padded.shape[2] - width + 1)[:, 0]
        return _windows(padded, tops, lefts, height, width)

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        height, width = self._size(x.shape[1:])
        top, left = (x.shape[1] - height) // 2, (x.shape[2] - width) // 2
        return x[:, top : top + height, left : left + width]

    def _size(self, shape: tuple[int, ...]) -> tuple[int, int]:
        return (shape[0], shape[1]) if self.size is None else _pair(self.size)

    def _padded(self, x: np.ndarray, top: float) -> np.ndarray:
        rows, columns = _pair(self.padding)
        if not rows and not columns:
            return x
        if self.fill == "reflect":
            return np.pad(x, ((0, 0), (rows, rows), (columns, columns), (0, 0)), mode="reflect")
        n, height, width, channels = x.shape
        out = np.full((n, height + 2 * rows, width + 2 * columns, channels), stored(self.fill, top, x.dtype), x.dtype)
        out[:, rows : rows + height, columns : columns + width] = x
        return out


@augmentations("random_resized_crop")
class RandomResizedCrop(ImageAugmentation):
    """Cut a part of random size and shape out of images and resize it.

    The part's share of the image's area is uniform in `area`, its width divided by its height log-uniform in `aspect`;
    of ten such draws the first that fits into the image counts, at a place where it fits, each equally likely. Where
    none fits, it is the largest part in the middle whose shape is in `aspect`. Evaluation sees the largest part in the
    middle that has the shape of `size`, resized.

    Args:
        area: Smallest and largest share of the image's area.
        aspect: Smallest and largest width divided by height.
        size: Height and width of the result, one number for both; the sample's own when left out.
        interpolation: `bilinear`, smoothed where pixels get fewer, or `nearest`.

    Shapes: (N, H, W, C) -> (N, height, width, C).
    Errors: wrong-rank, wrong-dtype, range-order, labels-stay.
    Differs: nothing from torchvision's RandomResizedCrop with antialiasing.
    Source: Szegedy et al. 2015.
    """

    area: tuple[Annotated[float, Gt(0), Le(1)], Annotated[float, Gt(0), Le(1)]] = (0.08, 1.0)
    aspect: tuple[Annotated[float, Gt(0)], Annotated[float, Gt(0)]] = (3 / 4, 4 / 3)
    size: Length | tuple[Length, Length] | None = None
    interpolation: Interpolation = "bilinear"

    moves = True
    in_evaluation = "the largest part in the middle of that shape, resized to {height} x {width} pixels (height, width)"

    def infer(self, x: TensorType) -> TensorType:
        super().infer(x)
        require_order(self.kind, area=self.area, aspect=self.aspect)
        return TensorType((*self._size(x.shape), x.shape[2]))

    def apply(self, x: np.ndarray, draws: Draws, top: float) -> np.ndarray:
        return self._resized(x, self.boxes(draws, x.shape[1], x.shape[2]))

    def evaluate(self, x: np.ndarray) -> np.ndarray:
        height, width = self._size(x.shape[1:])
        if (height, width) == x.shape[1:3]:
            return x
        rows, columns = x.shape[1:3]
        part = min(columns, rows * width / height), min(rows, columns * height / width)
        left, upper = (columns - part[0]) / 2, (rows - part[1]) / 2
        return self._resized(x, np.tile([left, upper, left + part[0], upper + part[1]], (len(x), 1)))

    def boxes(self, draws: Draws, height: int, width: int) -> np.ndarray:
        """Left, upper, right and lower edge of each sample's part, in whole pixels, int64 (N, 4)."""
        area = draws.uniform("area", *self.area, _TRIES) * height * width
        aspect = np.exp(draws.uniform("aspect", math.log(self.aspect[0]), math.log(self.aspect[1]), _TRIES))
        widths, heights = (np.rint(np.sqrt(v)).astype(np.int64) for v in (area * aspect, area / aspect))
        fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
        first = fits.argmax(1)[:, None]
        w, h = np.take_along_axis(widths, first, 1), np.take_along_axis(heights, first, 1)
        none = ~fits.any(axis=1, keepdims=True)
        shape = min(max(width / height, self.aspect[0]), self.aspect[1])
        w = np.where(none, max(1, min(width, round(height * shape))), w)
        h = np.where(none, max(1, min(height, round(width / shape))), h)
        left, upper = draws.integers("left", 0, width - w + 1), draws.integers("top", 0, height - h + 1)
        left, upper = np.where(none, (width - w) // 2, left), np.where(none, (height - h) // 2, upper)
        return np.concatenate((left, upper, left + w, upper + h), axis=1)

    def _resized(self, x: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        height, width = self._size(x.shape[1:])
        how = resampling(self.interpolation)
        out = np.empty((len(x), height, width, x.shape[-1]), x.dtype)
        for i, box in enumerate(boxes.tolist()):
            out[i] = through_pillow(x[i], methodcaller("resize", (width, height), how, box=box))
        return out

    def _size(self, shape: tuple[int, ...]) -> tuple[int, int]:
        return (shape[0], shape[1]) if self.size is None else _pair(self.size)
