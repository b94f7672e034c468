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

    axis: Literal["horizontal", "vertical", "both"] = "horizontal"
    probability: Annotated[float, Ge(0), Le(1)] = 0.5

    moves = True

    def apply(self, x: np.ndarray, draws: Draws, top: float) -> np.ndarray:
        out = x.copy()
        for number, name in ((2, "horizontal"), (1, "vertical")):
            if self.axis in (name, "both"):
                chosen = draws.chance(name, self.probability)
                out[chosen] = np.flip(out[chosen], number)
        return out
