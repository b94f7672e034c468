"""Random choices from a list of operations."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le

from dlrun.data.augment.bands import Interpolation
from dlrun.data.augment.operations import SIGNED, Canvas, Step, applied, eight_bit, from_eight_bit
from dlrun.data.augment.published import PolicyName, policy
from dlrun.data.augment.values import Share
from dlrun.data.augmentation import ImageAugmentation, augmentations
from dlrun.data.draws import Draws
from dlrun.described import described

_CHOICES = (
    "identity",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
    "rotate",
    "brightness",
    "color",
    "contrast",
    "sharpness",
    "posterize",
    "solarize",
    "autocontrast",
    "equalize",
)
"""What ``rand_augment`` and ``trivial_augment`` choose from."""
_BINS = 31


def strength(name: str, share: float, height: int, width: int, wide: bool = False) -> float:
    """The magnitude of an operation, 0 for those that have none.

    Args:
        name: The operation.
        share: How strong, 0 to 1.
        height: Of the image, in pixels.
        width: Of the image.
        wide: Whether ranges are those of TrivialAugment's wide space.
    """
    if name == "posterize":
        return 8 - round(share * (6 if wide else 4))
    if name == "solarize":
        return 255 * (1 - share)
    largest = {
        "shear_x": 0.99 if wide else 0.3,
        "shear_y": 0.99 if wide else 0.3,
        "translate_x": 32 if wide else width * 150 / 331,
        "translate_y": 32 if wide else height * 150 / 331,
        "rotate": 135 if wide else 30,
    }
    if name in SIGNED:
        return share * largest.get(name, 0.99 if wide else 0.9)
    return 0.0


@described
class _Policy(ImageAugmentation):
    """What gives each image some operations."""

    interpolation: Interpolation = "nearest"
    fill: Share = 0.0

    bands = (1, 3)
    moves = True
    bytes_only = True

    def apply(self, x: np.ndarray, draws: Draws, top: float) -> np.ndarray:
        out = eight_bit(self.kind, x, top)
        canvas = Canvas(self.interpolation, round(255 * self.fill))
        for i, steps in enumerate(self.steps(draws, x.shape[1], x.shape[2])):
            if steps:
                out[i] = applied(out[i], steps, canvas)
        return from_eight_bit(out, top)

    def steps(self, draws: Draws, height: int, width: int) -> list[list[Step]]:
        """What is done to each sample."""
        raise NotImplementedError


@augmentations("rand_augment")
class RandAugment(_Policy):
    """Do some operations of one strength to each image, chosen at random.

    Each of `number` times one of 14 operations is drawn: identity, shear_x, shear_y (0.3), translate_x, translate_y
    (150/331 of the width or height), rotate (30 degrees), brightness, color, contrast, sharpness (factors 1 - 0.9 to
    1 + 0.9), posterize (8 bits down to 4), solarize (threshold 255 down to 0), autocontrast, equalize. In brackets
    stands what magnitude 30 means, 0 means no change, between them is a straight line; where there are two directions
    each is equally likely.

    Args:
        number: Operations for each image.
        magnitude: Their strength, 0 to 30.
        interpolation: `nearest` or `bilinear`: how values between pixels are got.
        fill: What stands where nothing came, a value of the unit range.

    Shapes: (N, H, W, 1 or 3) -> the same.
    Errors: wrong-rank, wrong-dtype, channels-mismatch, needs-bytes, outside-unit-range, labels-stay.
    Differs: nothing from torchvision's RandAugment.
    Source: Cubuk et al. 2020.
    """

    number: Annotated[int, Gt(0)] = 2
    magnitude: Annotated[int, Ge(0), Le(30)] = 9

    def steps(self, draws: Draws, height: int, width: int) -> list[list[Step]]:
        chosen = draws.integers("operation", 0, len(_CHOICES), self.number)
        signs = 2 * draws.integers("sign", 0, 2, self.number) - 1
        share = self.magnitude / (_BINS - 1)
        return [
            [_step(_CHOICES[c], share, s, height, width) for c, s in zip(*both, strict=True)]
            for both in zip(chosen.tolist(), signs.tolist(), strict=True)
        ]


@augmentations("trivial_augment")
class TrivialAugment(_Policy):
    """Do one operation of random strength to each image.

    It is drawn from 14: identity, shear_x, shear_y (0.99), translate_x, translate_y (32 pixels), rotate (135 degrees),
    brightness, color, contrast, sharpness (factors 1 - 0.99 to 1 + 0.99), posterize (8 bits down to 2), solarize
    (threshold 255 down to 0), autocontrast, equalize. Its strength is one of 31 from no change to what stands in
    brackets, each equally likely; so are the directions where there are two.

    Args:
        interpolation: `nearest` or `bilinear`: how values between pixels are got.
        fill: What stands where nothing came, a value of the unit range.

    Shapes: (N, H, W, 1 or 3) -> the same.
    Errors: wrong-rank, wrong-dtype, channels-mismatch, needs-bytes, outside-unit-range, labels-stay.
    Differs: nothing from torchvision's TrivialAugmentWide.
    Source: Mueller & Hutter 2021 (the wide space).
    """

    def steps(self, draws: Draws, height: int, width: int) -> list[list[Step]]:
        chosen = draws.integers("operation", 0, len(_CHOICES))[:, 0].tolist()
        signs = (2 * draws.integers("sign", 0, 2) - 1)[:, 0].tolist()
        bins = draws.integers("magnitude", 0, _BINS)[:, 0].tolist()
        return [
            [_step(_CHOICES[c], b / (_BINS - 1), s, height, width, wide=True)]
            for c, s, b in zip(chosen, signs, bins, strict=True)
        ]


@augmentations("auto_augment")
class AutoAugment(_Policy):
    """Do two operations to each image, a pair of those that were found best for a data set.

    One of the policy's 25 pairs is drawn; each of its operations is done by its own probability, with its own
    magnitude, 0 to 9, where 9 means what 30 does in `rand_augment`; where there are two directions each is equally
    likely.

    Args:
        policy: `cifar10`, `imagenet` or `svhn`: the data set on which it was found.
        interpolation: `nearest` or `bilinear`: how values between pixels are got.
        fill: What stands where nothing came, a value of the unit range.

    Shapes: (N, H, W, 1 or 3) -> the same.
    Errors: wrong-rank, wrong-dtype, channels-mismatch, needs-bytes, outside-unit-range, labels-stay.
    Differs: nothing from torchvision's AutoAugment; in the authors' code 10 means the strongest, and empty places are
        grey (`fill: 0.5`).
    Source: Cubuk et al. 2019.
    """

    policy: PolicyName = "cifar10"

    def steps(self, draws: Draws, height: int, width: int) -> list[list[Step]]:
        pairs = policy(self.policy)
        chosen = draws.integers("pair", 0, len(pairs))[:, 0].tolist()
        luck = draws.uniform("chosen", count=2).tolist()
        signs = (2 * draws.integers("sign", 0, 2, count=2) - 1).tolist()
        return [
            [
                _step(name, magnitude / 9, sign, height, width)
                for (name, probability, magnitude), lot, sign in zip(pairs[pair], lots, both, strict=True)
                if lot < probability
            ]
            for pair, lots, both in zip(chosen, luck, signs, strict=True)
        ]


def _step(name: str, share: float, sign: int, height: int, width: int, wide: bool = False) -> Step:
    magnitude = strength(name, share, height, width, wide)
    return Step(name, sign * magnitude if name in SIGNED else magnitude)
