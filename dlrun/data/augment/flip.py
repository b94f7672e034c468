"""Mirroring."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le

from dlrun.data.augmentation import ImageAugmentation, augmentations
from dlrun.data.draws import Draws


@augmentations("random_flip")
class RandomFlip(ImageAugmentation):
    """Mirror images at random.

    Args:
        axis: `horizontal` exchanges left and right, `vertical` top and bottom, `both` each by a draw of its own.
        probability: How likely a mirroring is.

    Shapes: (N, H, W, C) -> (N, H, W, C).
    Errors: wrong-rank, wrong-dtype, labels-stay.
    Differs: torchvision has a transform for each axis; Keras' RandomFlip mirrors along both unless told otherwise.
    Source: none.
    """

    known_as = ("flip", "horizontal_flip", "vertical_flip", "random_horizontal_flip", "random_vertical_flip", "mirror")

    axis: Literal["horizontal", "vertical", "both"] = "horizontal"
    probability: Annotated[float, Ge(0), Le(1)] = 0.5

    moves = True

    def apply(self, x: np.ndarray, draws: Draws, top: float) -> np.ndarray:
        out = x.copy()
        if self.axis != "vertical":
            _exchange_sides(out, draws.chance("horizontal", self.probability))
        if self.axis != "horizontal":
            chosen = draws.chance("vertical", self.probability)
            out[chosen] = out[chosen, ::-1]
        return out


def _exchange_sides(x: np.ndarray, chosen: np.ndarray) -> None:
    """Mirror left and right of the chosen samples (N, H, W, C) in place."""
    # A line's values taken by number in one go; running backwards would copy pixel by pixel, of three bytes each.
    length = x.shape[2] * x.shape[3]
    lines, order = x.reshape(*x.shape[:2], length), np.arange(length).reshape(x.shape[2:])[::-1].reshape(-1)
    for row in np.flatnonzero(chosen):
        lines[row] = lines[row].take(order, axis=1, mode="clip")
