"""Stored numbers as the float32 that training reads."""

from __future__ import annotations

import numpy as np

from dlrun.errors import DlrunError
from dlrun.errors import Path as RecipePath

_EXACT = 2**24
"""float32 holds every integer up to here."""


def as_float32(values: np.ndarray, what: str, where: RecipePath) -> np.ndarray:
    """Values as float32, in C order.

    Args:
        values: Numbers of any type.
        what: What holds them, for errors.
        where: The field of the recipe that names it.

    Raises:
        DlrunError: ``not-finite``; ``inexact-integer`` for an integer that float32 does not hold.
    """
    with np.errstate(over="ignore"):
        numbers = values.astype(np.float32, order="C", copy=False)
    if not np.isfinite(numbers).all():
        raise DlrunError("not-finite", f"{what} holds NaN, infinite values or values beyond float32.", path=where)
    if values.dtype.kind in "iu" and (changed := _inexact(values)).size:
        raise DlrunError(
            "inexact-integer",
            f"{what} has the integer `{changed[0]}`, but numbers become float32, which has "
            f"`{int(np.float32(changed[0]))}` next to it.",
            path=where,
            hint="Scale the values, or write them as floating-point numbers.",
        )
    return numbers


def _inexact(integers: np.ndarray) -> np.ndarray:
    """Those that float32 does not hold: more than 24 bits from the first to the last that is set."""
    large = integers[(integers > _EXACT) | (integers < -_EXACT)]
    lowest_bit = large & (~large + 1)
    inexact: np.ndarray = large[np.abs(large // lowest_bit) > _EXACT]
    return inexact
