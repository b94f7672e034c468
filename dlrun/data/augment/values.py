"""Stored values as shares of the unit range, and the types of fields that speak of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from dlrun.errors import DlrunError

Probability = Annotated[float, Ge(0), Le(1)]
Share = Annotated[float, Ge(0), Le(1)]
NotNegative = Annotated[float, Ge(0)]

_BLOCK = 1 << 18
"""Values handled at a time, so that intermediate results of large images stay small."""


def blocks(x: np.ndarray) -> Iterator[slice]:
    """Slices of a batch, of as many samples as are worth handling together."""
    samples = max(1, _BLOCK // max(1, x[:1].size))
    return (slice(i, i + samples) for i in range(0, len(x), samples))


def stored(value: float, top: float, dtype: np.dtype) -> int | float:
    """A value of the unit range as samples have it: a whole number in 8-bit images."""
    return round(value * top) if dtype == np.uint8 else value * top


def to_unit(kind: str, x: np.ndarray, top: float) -> np.ndarray:
    """Samples brought to the unit range, a new float32 array.

    Raises:
        DlrunError: ``outside-unit-range`` when a value is not of that range.
    """
    if x.size and not (x.dtype == np.uint8 and top >= 255):
        low, high = float(x.min()), float(x.max())
        limit = round(top) if x.dtype == np.uint8 else top * (1 + 1e-6)  # a scale may be written with few digits
        if not (low >= 0 and high <= limit):  # NaN is outside too
            wrong = high if low >= 0 else low
            raise DlrunError(
                "outside-unit-range",
                f"`{kind}` changes images whose values go from 0 to {top:g}, but a sample has `{wrong:g}`.",
                path=("data", "augment"),
                hint="Leave it out, or bring the stored values to that range; `preprocess` comes after it.",
            )
    unit: np.ndarray = x.astype(np.float32) * np.float32(1 / top)
    return unit


def from_unit(unit: np.ndarray, dtype: np.dtype, top: float) -> np.ndarray:
    """Values of the unit range as samples have them, rounded in 8-bit images; what is outside is cut off."""
    scaled = np.clip(unit, 0, 1) * np.float32(top)
    found: np.ndarray = (np.rint(scaled) if dtype == np.uint8 else scaled).astype(dtype)
    return found


def spread(value: float | tuple[float, float], center: float = 0.0, least: float | None = None) -> tuple[float, float]:
    """Bounds of a draw: a pair as it is, a number v as center - v to center + v, not below ``least``."""
    if isinstance(value, tuple):
        return value
    low = center - value
    return (low if least is None else max(low, least)), center + value


def require_order(kind: str, **fields: object) -> None:
    """Raise ``range-order`` where a pair's second number is below the first."""
    for name, value in fields.items():
        if isinstance(value, tuple) and len(value) == 2 and value[1] < value[0]:
            raise DlrunError(
                "range-order",
                f"`{kind}.{name}` goes from `{value[0]:g}` to `{value[1]:g}`; the smaller number comes first.",
                path=(name,),
                hint=f"Write `[{value[1]:g}, {value[0]:g}]`.",
            )


def require_change(kind: str, *values: float | tuple[float, ...]) -> None:
    """Raise ``nothing-to-change`` where all fields that say how much are 0."""
    if not any(any(value) if isinstance(value, tuple) else value for value in values):
        raise DlrunError(
            "nothing-to-change",
            f"`{kind}` leaves every sample as it is, for none of its fields says how much to change.",
            hint=f"Its fields: dlrun layers {kind}",
        )
