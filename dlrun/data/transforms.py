"""What is done to every sample before the model sees it.

Stored samples are first brought to the unit range (times ``Signature.scale``); then the recipe's
transforms follow in order. All are value-wise, so exports carry them inside.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Gt

from dlrun.described import described
from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType
from dlrun.registry import Registry

PerChannel = float | tuple[float, ...]


@described
class Transform:
    """A transform's description; registered with ``@transforms("name")``."""

    kind: ClassVar[str] = ""

    def infer(self, x: TensorType) -> TensorType:
        """The output type. Raises DlrunError when the input does not fit."""
        return x

    def affine(self, channels: int) -> tuple[np.ndarray, np.ndarray]:
        """(multiplier, offset), float64 (channels,): the transform is x * multiplier + offset."""
        raise NotImplementedError


transforms: Registry[Transform] = Registry("transform")

_BLOCK = 1 << 16
"""Values handled at a time, few enough to stay in the processor's cache."""


@transforms("normalize")
class Normalize(Transform):
    """Subtract a mean and divide by a standard deviation.

    y = (x - m) / s, with m the mean and s the standard deviation of values in the unit range.

    Args:
        mean: m, one number or one per channel.
        std: s, above 0, one number or one per channel.

    Shapes: (N, *, C) -> (N, *, C).
    Weights: none.
    Errors: channels-mismatch.
    Differs: nothing.
    Source: LeCun et al. 1998 (Efficient BackProp).
    """

    mean: PerChannel
    std: Annotated[float, Gt(0)] | tuple[Annotated[float, Gt(0)], ...]

    def infer(self, x: TensorType) -> TensorType:
        for name, value in (("mean", self.mean), ("std", self.std)):
            if isinstance(value, tuple) and len(value) != x.shape[-1]:
                raise DlrunError(
                    "channels-mismatch",
                    f"`normalize.{name}` has {len(value)} entries but samples have {x.shape[-1]} channels.",
                    path=(name,),
                )
        return x

    def affine(self, channels: int) -> tuple[np.ndarray, np.ndarray]:
        mean = np.broadcast_to(np.asarray(self.mean, np.float64), (channels,))
        std = np.broadcast_to(np.asarray(self.std, np.float64), (channels,))
        return 1 / std, -mean / std


@transforms("rescale")
class Rescale(Transform):
    """Multiply and shift every value.

    y = a x + b, with a the multiplier and b the offset, x in the unit range.

    Args:
        multiplier: a.
        offset: b.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: none.
    Differs: nothing.
    Source: none.
    """

    multiplier: float
    offset: float = 0.0

    def affine(self, channels: int) -> tuple[np.ndarray, np.ndarray]:
        return np.full(channels, float(self.multiplier)), np.full(channels, float(self.offset))


def combined_affine(chain: tuple[Transform, ...], scale: float, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """One multiplier and offset per channel for scaling and all transforms: float64 (channels,)."""
    multiplier, offset = np.full(channels, scale), np.zeros(channels)
    for transform in chain:
        m, o = transform.affine(channels)
        multiplier, offset = multiplier * m, offset * m + o
    return multiplier, offset


def apply(
    x: np.ndarray, affine: tuple[np.ndarray, np.ndarray], dtype: str, out: np.ndarray | None = None
) -> np.ndarray:
    """Preprocess stored samples: computed in float64 a block at a time, rounded once to ``dtype``.

    Args:
        x: Samples as stored.
        affine: Result of ``combined_affine``.
        dtype: Of the result.
        out: Array to fill, if there is one.

    Shapes: (N, *, C) -> (N, *, C).
    """
    multiplier, offset = affine
    out = np.empty(x.shape, dtype) if out is None else out
    if out.dtype.kind == "i":  # ids are not scaled
        out[...] = x
        return out
    samples = max(1, _BLOCK // max(1, x[:1].size))
    blocks = [slice(i, i + samples) for i in range(0, len(x), samples)]
    if x.dtype != np.uint8:
        for block in blocks:
            out[block] = x[block].astype(np.float64) * multiplier + offset
        return out
    table = (np.arange(256)[:, None] * multiplier + offset).astype(dtype)  # 256 possible values: look them up
    # mode="clip" (no byte is out of range) writes to ``out`` directly, many times faster than "raise".
    if (table == table[:, :1]).all():
        for block in blocks:
            np.take(table[:, 0], x[block], out=out[block], mode="clip")
        return out
    columns = np.ascontiguousarray(table.T)
    for block in blocks:
        for c in range(x.shape[-1]):
            out[block][..., c] = np.take(columns[c], x[block][..., c], mode="clip")
    return out
