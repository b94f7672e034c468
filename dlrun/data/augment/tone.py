"""Values replaced by others, wherever they stand."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from dlrun.data.augment.operations import eight_bit, equalized, from_eight_bit
from dlrun.data.augment.values import Probability, Share, from_unit, to_unit
from dlrun.data.augmentation import ImageAugmentation, augmentations
from dlrun.data.draws import Draws
from dlrun.described import described


@described
class _Tone(ImageAugmentation):
    """What changes whole images that chance picks."""

    probability: Probability = 0.5

    def apply(self, x: np.ndarray, draws: Draws, top: float) -> np.ndarray:
        out = x.copy()
        chosen = np.flatnonzero(draws.chance("chosen", self.probability))
        out[chosen] = self.changed(x[chosen], top)
        return out

    def changed(self, x: np.ndarray, top: float) -> np.ndarray:
        """The chosen images, (n, H, W, C), changed."""
        raise NotImplementedError


@augmentations("random_invert")
class RandomInvert(_Tone):
    """Turn images into their negatives at random.

    y = 1 - x in the unit range.

    Args:
        probability: How likely an image is changed.

    Shapes: (N, H, W, C) -> (N, H, W, C).
    Errors: wrong-rank, wrong-dtype, outside-unit-range.
    Differs: nothing from torchvision's RandomInvert.
    Source: none.
    """

    def changed(self, x: np.ndarray, top: float) -> np.ndarray:
        return from_unit(1 - to_unit(self.kind, x, top), x.dtype, top)


@augmentations("random_solarize")
class RandomSolarize(_Tone):
    """Invert the bright values of images at random.

    y = 1 - x where x is at least t, else x, in the unit range.

    Args:
        threshold: t.
        probability: How likely an image is changed.

    Shapes: (N, H, W, C) -> (N, H, W, C).
    Errors: wrong-rank, wrong-dtype, outside-unit-range.
    Differs: torchvision's RandomSolarize has its threshold in stored values, 0 to 255 in 8-bit images.
    Source: none.
    """

    threshold: Share = 0.5

    def changed(self, x: np.ndarray, top: float) -> np.ndarray:
        unit = to_unit(self.kind, x, top)
        bright = x >= self.threshold * top  # as stored: a threshold that a value meets is met exactly
        return np.where(bright, from_unit(1 - unit, x.dtype, top), x)


@augmentations("random_posterize")
class RandomPosterize(_Tone):
    """Keep only the upper bits of values at random.

    y = x with all but the highest b of 8 bits set to 0; values of images that end below 255 are stretched to 0 to 255
    before and brought back afterwards.

    Args:
        bits: b.
        probability: How likely an image is changed.

    Shapes: (N, H, W, C) -> (N, H, W, C).
    Errors: wrong-rank, wrong-dtype, needs-bytes, outside-unit-range.
    Differs: nothing from torchvision's RandomPosterize.
    Source: none.
    """

    bits: Annotated[int, Ge(0), Le(8)]

    bytes_only = True

    def changed(self, x: np.ndarray, top: float) -> np.ndarray:
        kept = np.uint8(256 - 2 ** (8 - self.bits) if self.bits else 0)
        return from_eight_bit(eight_bit(self.kind, x, top) & kept, top)


@augmentations("random_autocontrast")
class RandomAutocontrast(_Tone):
    """Stretch each channel of images to the whole unit range at random.

    y = (x - l) / (h - l), with l the lowest and h the highest value of the image's channel; x where both are equal.

    Args:
        probability: How likely an image is changed.

    Shapes: (N, H, W, C) -> (N, H, W, C).
    Errors: wrong-rank, wrong-dtype, outside-unit-range.
    Differs: torchvision's RandomAutocontrast rounds 8-bit images down.
    Source: Pillow's ImageOps.autocontrast.
    """

    def changed(self, x: np.ndarray, top: float) -> np.ndarray:
        unit = to_unit(self.kind, x, top)
        low, high = unit.min(axis=(1, 2), keepdims=True), unit.max(axis=(1, 2), keepdims=True)
        width = np.where(high > low, high - low, 1)
        return np.where(high > low, from_unit((unit - low) / width, x.dtype, top), x)


@augmentations("random_equalize")
class RandomEqualize(_Tone):
    """Make the values of each channel of images equally frequent at random.

    v becomes (s / 2 + n) / s, at most 255, with n the count of the channel's values below v and s the count of all that
    are not its highest, divided by 255; every division is rounded down. A channel whose s is 0 stays as it is, so do
    all images of fewer than 256 pixels. Values of images that end below 255 are stretched to 0 to 255 before and
    brought back afterwards.

    Args:
        probability: How likely an image is changed.

    Shapes: (N, H, W, C) -> (N, H, W, C).
    Errors: wrong-rank, wrong-dtype, needs-bytes, outside-unit-range.
    Differs: nothing from torchvision's RandomEqualize.
    Source: Pillow's ImageOps.equalize.
    """

    bytes_only = True

    def changed(self, x: np.ndarray, top: float) -> np.ndarray:
        stretched = eight_bit(self.kind, x, top)
        for i, sample in enumerate(stretched):
            stretched[i] = equalized(sample)
        return from_eight_bit(stretched, top)
