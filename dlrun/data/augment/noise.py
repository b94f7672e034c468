"""Noise added to samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dlrun.data.augment.values import NotNegative, Probability, blocks, require_change, require_order
from dlrun.data.augmentation import Augmentation, augmentations, require_numbers
from dlrun.data.draws import Draws
from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType

if TYPE_CHECKING:
    from dlrun.data.source import Signature


@augmentations("gaussian_noise")
class GaussianNoise(Augmentation):
    """Add normally distributed numbers to samples of any shape.

    y = x + s z in the unit range, with z from the unit normal distribution for each number and s uniform in `std` for
    each sample. 8-bit samples are rounded and cut off at 0 and 1, others are not.

    Args:
        std: Smallest and largest s, or one number; of samples that are no images, in their own unit.
        probability: How likely a sample is changed.

    Shapes: (N, *) -> (N, *).
    Errors: wrong-dtype, wrong-column, range-order, nothing-to-change.
    Differs: torchvision's GaussianNoise has one s for all samples and cuts off floating-point ones too; Keras'
        GaussianNoise is a layer.
    Source: Sietsma & Dow 1991.
    """

    known_as = ("noise",)

    std: NotNegative | tuple[NotNegative, NotNegative]
    probability: Probability = 1.0

    def infer(self, x: TensorType) -> TensorType:
        if x.dtype != "float":
            raise DlrunError("wrong-dtype", f"`{self.kind}` needs numbers, but samples are ids {x}.")
        require_order(self.kind, std=self.std)
        require_change(self.kind, self.std)
        return x

    def check(self, signature: Signature) -> None:
        require_numbers(self.kind, signature)

    def apply(self, x: np.ndarray, draws: Draws, top: float) -> np.ndarray:
        low, high = self.std if isinstance(self.std, tuple) else (self.std, self.std)
        std = draws.uniform("std", low * top, high * top)
        chosen = draws.chance("chosen", self.probability)
        out = x.copy()
        for block in blocks(x):
            rows = block.start + np.flatnonzero(chosen[block])
            noise = std[rows] * draws[rows].normal("noise", x[:1].size)
            noisy = x[rows] + noise.reshape(len(rows), *x.shape[1:])
            out[rows] = np.rint(np.clip(noisy, 0, top)) if x.dtype == np.uint8 else noisy
        return out
