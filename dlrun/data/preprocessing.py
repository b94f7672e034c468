"""What is done to every value, all transforms of a recipe as one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_BLOCK = 1 << 16
"""Values handled at a time, few enough to stay in the processor's cache."""


@dataclass(frozen=True)
class Preprocessing:
    """All transforms of a recipe as one: y = x * multiplier + offset, with x the fill where there is no number.

    Args:
        multiplier: float64 (channels,).
        offset: float64 (channels,).
        fill: What stands for NaN, as stored, float64 (channels,); None where NaN stays.
    """

    multiplier: np.ndarray
    offset: np.ndarray
    fill: np.ndarray | None = None

    @classmethod
    def begin(cls, scale: float, channels: int) -> Preprocessing:
        """Stored values brought to the unit range."""
        return cls(np.full(channels, float(scale)), np.zeros(channels))

    def then(self, multiplier: np.ndarray, offset: np.ndarray) -> Preprocessing:
        """The same with a further multiplication and shift."""
        return Preprocessing(self.multiplier * multiplier, self.offset * multiplier + offset, self.fill)

    def filled(self, value: np.ndarray) -> Preprocessing:
        """The same with NaN replaced by a value as it is now, float64 (channels,)."""
        stored = (value - self.offset) / self.multiplier
        return self if self.fill is not None else Preprocessing(self.multiplier, self.offset, stored)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Stored samples (N, *, C) as they are after it, float64."""
        values = x.astype(np.float64)
        if self.fill is not None:
            values = np.where(np.isnan(values), self.fill, values)
        result: np.ndarray = values * self.multiplier + self.offset
        return result


def apply(x: np.ndarray, how: Preprocessing, dtype: str, out: np.ndarray | None = None) -> np.ndarray:
    """Preprocess stored samples: computed in float64 a block at a time, rounded once to ``dtype``.

    Args:
        x: Samples as stored.
        how: Result of ``combined``.
        dtype: Of the result.
        out: Array to fill, if there is one.

    Shapes: (N, *, C) -> (N, *, C).
    """
    out = np.empty(x.shape, dtype) if out is None else out
    if out.dtype.kind == "i":  # ids are not scaled
        out[...] = x
        return out
    samples = max(1, _BLOCK // max(1, x[:1].size))
    blocks = [slice(i, i + samples) for i in range(0, len(x), samples)]
    if x.dtype != np.uint8:
        for block in blocks:
            out[block] = how(x[block])
        return out
    table = how(np.repeat(np.arange(256)[:, None], x.shape[-1], 1)).astype(dtype)  # 256 possible values: look them up
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
