"""Blur and sharpness."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Gt

from dlrun.data.augment.values import (
    NotNegative,
    Probability,
    blocks,
    from_unit,
    require_order,
    to_unit,
)
from dlrun.data.augmentation import ImageAugmentation, augmentations
from dlrun.data.draws import Draws
from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType

Above = Annotated[float, Gt(0)]


@augmentations("gaussian_blur")
class GaussianBlur(ImageAugmentation):
    """Blur images by a Gaussian of random width.

    y[i, j] = sum_ab k_a k_b x[i + a, j + b], with k_a proportional to exp(-a^2 / (2 s^2)), their sum 1, a from
    -(n - 1) / 2 to (n - 1) / 2 for a kernel of n pixels, and s uniform in `sigma`. Beyond its edges the image goes on
    mirrored at its outermost pixels.

    Args:
        kernel: n, an odd number of pixels.
        sigma: Smallest and largest s, in pixels, or one number.
        probability: How likely an image is blurred.

    Shapes: (N, H, W, C) -> (N, H, W, C).
    Errors: wrong-rank, wrong-dtype, even-kernel, kernel-too-large, range-order.
    Differs: torchvision's GaussianBlur always blurs and has no kernel of its own.
    Source: Chen et al. 2020 (SimCLR).
    """

    known_as = ("blur",)

    kernel: Annotated[int, Gt(0)] = 3
    sigma: Above | tuple[Above, Above] = (0.1, 2.0)
    probability: Probability = 1.0

    def infer(self, x: TensorType) -> TensorType:
        super().infer(x)
        require_order(self.kind, sigma=self.sigma)
        if self.kernel % 2 == 0 or self.kernel == 1:
            raise DlrunError(
                "even-kernel",
                f"`{self.kind}.kernel` must be an odd number above 1, got `{self.kernel}`.",
                path=("kernel",),
                hint=f"Write `{self.kernel + 1 if self.kernel > 1 else 3}`.",
            )
        if self.kernel // 2 >= min(x.shape[:2]):
            raise DlrunError(
                "kernel-too-large",
                f"`{self.kind}.kernel` of `{self.kernel}` reaches beyond the mirrored image {x}.",
                path=("kernel",),
                hint=f"Write at most `{2 * min(x.shape[:2]) - 1}`.",
            )
        return x

    def apply(self, x: np.ndarray, draws: Draws, top: float) -> np.ndarray:
        low, high = self.sigma if isinstance(self.sigma, tuple) else (self.sigma, self.sigma)
        sigma = draws.uniform("sigma", low, high)
        reach = self.kernel // 2
        weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
        weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
        chosen = draws.chance("chosen", self.probability)
        out = x.copy()
        for block in blocks(x):
            rows = block.start + np.flatnonzero(chosen[block])
            values = x[rows].astype(np.float32)
            for axis in (1, 2):
                values = _smoothed(values, weights[rows], axis)
            out[rows] = np.rint(values) if x.dtype == np.uint8 else values
        return out


def _smoothed(values: np.ndarray, weights: np.ndarray, axis: int) -> np.ndarray:
    """Each sample's own weights along an axis: (N, H, W, C), (N, n) -> (N, H, W, C)."""
    reach, length = weights.shape[1] // 2, values.shape[axis]
    margins = [(0, 0)] * 4
    margins[axis] = (reach, reach)
    padded = np.pad(values, margins, mode="reflect")
    parts = (
        np.take(padded, range(k, k + length), axis) * weights[:, k, None, None, None] for k in range(2 * reach + 1)
    )
    return np.asarray(sum(parts))


@augmentations("random_sharpness")
class RandomSharpness(ImageAugmentation):
    """Sharpen or smooth images at random.

    y = b + f (x - b) in the unit range, cut off outside of it, with f uniform in `factor` and b the image smoothed by
    [[1, 1, 1], [1, 5, 1], [1, 1, 1]] / 13; its outermost pixels are x.

    Args:
        factor: Smallest and largest f, or one number: 0 smoothes, 1 changes nothing, above 1 sharpens.
        probability: How likely an image is changed.

    Shapes: (N, H, W, C) -> (N, H, W, C).
    Errors: wrong-rank, wrong-dtype, range-order, outside-unit-range.
    Differs: torchvision's RandomAdjustSharpness has one factor for all images.
    Source: Pillow's ImageEnhance.Sharpness.
    """

    factor: NotNegative | tuple[NotNegative, NotNegative]
    probability: Probability = 0.5

    def infer(self, x: TensorType) -> TensorType:
        require_order(self.kind, factor=self.factor)
        return super().infer(x)

    def apply(self, x: np.ndarray, draws: Draws, top: float) -> np.ndarray:
        low, high = self.factor if isinstance(self.factor, tuple) else (self.factor, self.factor)
        factor = draws.uniform("factor", low, high).astype(np.float32)[:, :, None, None]
        chosen = draws.chance("chosen", self.probability)
        out = x.copy()
        for block in blocks(x):
            rows = block.start + np.flatnonzero(chosen[block])
            unit = to_unit(self.kind, x[rows], top)
            smooth = unit.copy()
            height, width = x.shape[1:3]
            if min(height, width) > 2:
                around = sum(unit[:, i : height - 2 + i, j : width - 2 + j] for i in range(3) for j in range(3))
                smooth[:, 1:-1, 1:-1] = (around + 4 * unit[:, 1:-1, 1:-1]) / 13
            out[rows] = from_unit(smooth + factor[rows] * (unit - smooth), x.dtype, top)
        return out
