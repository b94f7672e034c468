"""Turning, shifting, scaling and shearing."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Gt, Lt

from dlrun.data.augment.bands import Interpolation, resampling, through_pillow
from dlrun.data.augment.values import NotNegative, Probability, Share, require_change, require_order, spread, stored
from dlrun.data.augmentation import ImageAugmentation, augmentations
from dlrun.data.draws import Draws
from dlrun.graph.tensor import TensorType

Slant = Annotated[float, Ge(0), Lt(90)]


def matrices(angle: np.ndarray, scale: np.ndarray, shear: np.ndarray) -> np.ndarray:
    """What places are multiplied by, seen from the centre, x to the right and y downwards.

    A = s R B, with s the scale, R = [[cos a, sin a], [-sin a, cos a]] for the angle a, counterclockwise as seen, and
    B = [[1, tan p], [0, 1]] [[1, 0], [tan q, 1]] for the shears p and q.

    Shapes: degrees (N,), (N,), degrees (N, 2) -> float64 (N, 2, 2).
    """
    a, slant = np.deg2rad(angle), np.tan(np.deg2rad(shear))
    p, q, one = slant[:, 0], slant[:, 1], np.ones(len(a))
    turn = _stacked(np.cos(a), np.sin(a), -np.sin(a), np.cos(a))
    made: np.ndarray = scale[:, None, None] * turn @ _stacked(one, p, 0 * p, one) @ _stacked(one, 0 * q, q, one)
    return made


def _stacked(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    return np.stack((a, b, c, d), axis=-1).reshape(-1, 2, 2)


def warped(
    x: np.ndarray, maps: np.ndarray, shifts: np.ndarray, interpolation: Interpolation, fill: float, rows: np.ndarray
) -> np.ndarray:
    """Images whose places p are moved to c + A (p - c) + t, with c the centre; a new array.

    Args:
        x: As stored.
        maps: A of each sample.
        shifts: t of each sample, in pixels to the right and downwards.
        interpolation: How values between pixels are got.
        fill: What stands where nothing came, as stored.
        rows: Numbers of the samples that are changed.

    Shapes: (N, H, W, C), (N, 2, 2), (N, 2), (n,) -> (N, H, W, C).
    """
    from PIL.Image import Image, Transform

    height, width, channels = x.shape[1:]
    center = np.array([width / 2, height / 2])
    back = np.linalg.inv(maps)
    # Pillow asks where each pixel of the result comes from, its centre at half a pixel.
    start = center - np.einsum("nij,nj->ni", back, center + shifts)
    # Rounded, so that a quarter turn is one: Pillow rounds 8-bit results down, and would lose 1 to 1e-16 of error.
    coefficients = np.round(np.concatenate((back, start[:, :, None]), axis=2).reshape(len(x), 6), 12)
    how = resampling(interpolation)
    color: Any = (fill,) * channels if x.dtype == np.uint8 and channels == 3 else fill
    out = x.copy()
    for i in rows.tolist():
        data = tuple(coefficients[i].tolist())

        def change(image: Image, data: tuple[float, ...] = data) -> Image:
            return image.transform((width, height), Transform.AFFINE, data, how, fillcolor=color)

        out[i] = through_pillow(x[i], change)
    return out


@augmentations("random_rotate")
class RandomRotate(ImageAugmentation):
    """Turn images about their centre by a random angle.

    The angle is uniform in `degrees`, counterclockwise as seen where it is above 0. The image keeps its size: what
    leaves it is lost. 8-bit results are rounded down.

    Args:
        degrees: Smallest and largest angle; one number d stands for -d to d.
        interpolation: `bilinear` or `nearest`: how values between pixels are got.
        fill: What stands in the corners, a value of the unit range.
        probability: How likely an image is turned.

    Shapes: (N, H, W, C) -> (N, H, W, C).
    Errors: wrong-rank, wrong-dtype, range-order, labels-stay.
    Differs: torchvision's RandomRotation interpolates by `nearest` unless told otherwise; Keras' RandomRotation counts
        in turns and fills by mirroring.
    Source: none.
    """

    known_as = ("rotate", "rotation", "random_rotation")

    degrees: NotNegative | tuple[float, float]
    interpolation: Interpolation = "bilinear"
    fill: Share = 0.0
    probability: Probability = 1.0

    moves = True

    def infer(self, x: TensorType) -> TensorType:
        require_order(self.kind, degrees=self.degrees)
        return super().infer(x)

    def apply(self, x: np.ndarray, draws: Draws, top: float) -> np.ndarray:
        angle = draws.uniform("angle", *spread(self.degrees))[:, 0]
        maps = matrices(angle, np.ones(len(x)), np.zeros((len(x), 2)))
        rows = np.flatnonzero(draws.chance("chosen", self.probability))
        fill = stored(self.fill, top, x.dtype)
        return warped(x, maps, np.zeros((len(x), 2)), self.interpolation, fill, rows)


@augmentations("random_affine")
class RandomAffine(ImageAugmentation):
    """Turn, shift, scale and shear images at random.

    The place p of a pixel becomes c + A (p - c) + t, with c the centre, t the shift and A = s R B: s the scale,
    R = [[cos a, sin a], [-sin a, cos a]] for the angle a (counterclockwise as seen) and
    B = [[1, tan p], [0, 1]] [[1, 0], [tan q, 1]] for the horizontal shear p and the vertical one q. Each number is
    uniform in its range. 8-bit results are rounded down.

    Args:
        degrees: Smallest and largest angle; one number d stands for -d to d.
        translate: Largest shift in either direction as a share of the image's height and width: one number or both.
        scale: Smallest and largest factor.
        shear: Largest horizontal shear in degrees in either direction, or horizontal and vertical.
        interpolation: `bilinear` or `nearest`: how values between pixels are got.
        fill: What stands where nothing came, a value of the unit range.
        probability: How likely an image is changed.

    Shapes: (N, H, W, C) -> (N, H, W, C).
    Errors: wrong-rank, wrong-dtype, range-order, nothing-to-change, labels-stay.
    Differs: torchvision's RandomAffine turns clockwise, shifts by whole pixels, interpolates by `nearest` unless told
        otherwise and names the width's share before the height's.
    Source: none.
    """

    degrees: NotNegative | tuple[float, float] = 0.0
    translate: Share | tuple[Share, Share] = 0.0
    scale: tuple[Annotated[float, Gt(0)], Annotated[float, Gt(0)]] = (1.0, 1.0)
    shear: Slant | tuple[Slant, Slant] = 0.0
    interpolation: Interpolation = "bilinear"
    fill: Share = 0.0
    probability: Probability = 1.0

    moves = True

    def infer(self, x: TensorType) -> TensorType:
        require_order(self.kind, degrees=self.degrees, scale=self.scale)
        require_change(self.kind, self.degrees, self.translate, self.shear, *(s - 1 for s in self.scale))
        return super().infer(x)

    def apply(self, x: np.ndarray, draws: Draws, top: float) -> np.ndarray:
        high, wide = self.translate if isinstance(self.translate, tuple) else (self.translate, self.translate)
        sideways, upright = self.shear if isinstance(self.shear, tuple) else (self.shear, 0.0)
        height, width = x.shape[1:3]
        angle = draws.uniform("angle", *spread(self.degrees))[:, 0]
        scale = draws.uniform("scale", *self.scale)[:, 0]
        shifts = draws.uniform("shift", -1, 1, count=2) * [wide * width, high * height]
        shear = draws.uniform("shear", -1, 1, count=2) * [sideways, upright]
        rows = np.flatnonzero(draws.chance("chosen", self.probability))
        fill = stored(self.fill, top, x.dtype)
        return warped(x, matrices(angle, scale, shear), shifts, self.interpolation, fill, rows)
