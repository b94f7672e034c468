"""Samples and labels mixed with those of others."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Gt

from dlrun.data.augment.erase import rectangles
from dlrun.data.augment.values import Probability
from dlrun.data.augmentation import Mixing, augmentations
from dlrun.data.draws import Draws
from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType


def _kept(share: np.ndarray, values: np.ndarray) -> np.ndarray:
    """m v + (1 - m) w, with w the one before v, before the first the last; in the precision of the values."""
    m = share.astype(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
    mixed: np.ndarray = values * m
    mixed += np.roll(values, 1, axis=0) * (1 - m)
    return mixed


@augmentations("mixup")
class Mixup(Mixing):
    """Blend each sample, and its label, with the one before it in the batch.

    x' = m x + (1 - m) w and y' = m y + (1 - m) v, with x a preprocessed sample, y its shares of classes, w and v those
    of the sample before it in the batch (the last one's for the first), and m from Beta(a, a) for each sample. Training
    is reported on the mixed labels; evaluation is not mixed.

    Args:
        alpha: a: near 0 most samples are nearly one of both, 1 makes all shares equally likely.
        probability: How likely a sample is mixed.

    Shapes: (N, *), (N, classes) -> the same.
    Errors: wrong-dtype, wrong-column, needs-classes.
    Differs: torchvision's MixUp draws one m for the whole batch.
    Source: Zhang et al. 2018.
    """

    alpha: Annotated[float, Gt(0)] = 0.2
    probability: Probability = 1.0

    def mix(self, x: np.ndarray, y: np.ndarray, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
        share = np.where(draws.chance("chosen", self.probability), draws.beta("share", self.alpha), 1.0)
        return _kept(share, x), _kept(share, y)


@augmentations("cutmix")
class CutMix(Mixing):
    """Replace a rectangle of each image by that of the one before it in the batch.

    The rectangle has the image's shape, sides sqrt(1 - m) times as long (each half
    rounded to whole pixels), with m from Beta(a, a) for each sample, and
    its centre is uniform over the image; what reaches beyond the edge is cut off. y' = k y + (1 - k) v, with k the
    share of pixels that the image keeps, y its shares of classes, and v those of the sample before it (the last one's
    for the first). Training is reported on the mixed labels; evaluation is not mixed.

    Args:
        alpha: a: 1 makes all areas equally likely.
        probability: How likely an image is mixed.

    Shapes: (N, H, W, C), (N, classes) -> the same.
    Errors: wrong-rank, wrong-dtype, needs-classes.
    Differs: torchvision's CutMix draws one rectangle for the whole batch.
    Source: Yun et al. 2019.
    """

    alpha: Annotated[float, Gt(0)] = 1.0
    probability: Probability = 1.0

    def infer(self, x: TensorType) -> TensorType:
        if x.rank != 3:
            raise DlrunError("wrong-rank", f"`{self.kind}` needs images (N, height, width, channels), got {x}.")
        return super().infer(x)

    def mix(self, x: np.ndarray, y: np.ndarray, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
        height, width = x.shape[1:3]
        side = np.sqrt(1 - draws.beta("share", self.alpha))
        side = np.where(draws.chance("chosen", self.probability), side, 0.0)
        row, column = draws.integers("row", 0, height)[:, 0], draws.integers("column", 0, width)[:, 0]
        high, wide = np.rint(side * height / 2), np.rint(side * width / 2)
        taken = rectangles(row - high, row + high, column - wide, column + wide, x)
        share = 1 - taken.mean(axis=(1, 2))
        return np.where(taken[..., None], np.roll(x, 1, axis=0), x), _kept(share, y)
