"""Values of a table as numbers, texts and ids."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from dlrun.data.tables.rows import Cell, Mark, Value, text_of

_DIGITS = re.compile(r"[+-]?\d{1,300}")
_DECIMALS = re.compile(r"^([+-]?\d+)\.0+\Z")
_SWAPPED = str.maketrans(",.", ".,")


def parsed(cells: Sequence[Cell], name: str, decimal: Mark = ".") -> tuple[np.ndarray, dict[int, str]]:
    """Numbers, and what is wrong with values that are none, by index.

    Args:
        cells: Values of a column.
        name: Of the column, for what is wrong.
        decimal: The decimal mark of texts.

    Returns:
        float64 (N,), NaN where a value is missing or wrong.
    """
    try:
        values = np.array([np.nan if c is None else _number(c, decimal) for c in cells])
    except (ValueError, OverflowError):
        known = {c: np.nan if c is None else _try(c, decimal) for c in set(cells)}
        values = np.array([known[c] for c in cells])
    wrong = {}
    for i in np.flatnonzero(~np.isfinite(values)).tolist():
        cell = cells[i]
        if cell is not None:
            what = "not a number" if np.isnan(values[i]) else "not a finite number"
            if np.isnan(values[i]) and np.isfinite(_try(cell, "." if decimal == "," else ",")):
                what += f" whose decimal mark is `{decimal}`"
            wrong[i] = f"`{name}` is `{shortened(cell)}`, {what}"
    values[~np.isfinite(values)] = np.nan
    return values, wrong


def no_numbers(values: Iterable[Value], decimal: Mark) -> set[Value]:
    """Those that are not even infinite: what tells a category from a number."""
    return {v for v in values if math.isnan(_try(v, decimal))}


def whole_number(value: Value, decimal: Mark) -> int | None:
    """The whole number that ``7``, ``007``, ``7.0`` and ``7e0`` mean, to the last digit; None for anything else."""
    if isinstance(value, int):
        return value
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    number = _try(value, decimal)
    return int(number) if number.is_integer() else None


def _number(value: Value, decimal: Mark) -> float:
    if isinstance(value, str):
        if "_" in value:  # Python's way to write a number
            raise ValueError
        if decimal == ",":
            value = value.translate(_SWAPPED)
    return float(value)


def _try(value: Value, decimal: Mark) -> float:
    try:
        return _number(value, decimal)
    except ValueError:
        return np.nan
    except OverflowError:  # an integer of more than 308 digits
        return np.inf


def shortened(value: Cell) -> str:
    """As errors write it."""
    text = str(value)
    return text if len(text) <= 40 else text[:39] + "…"


def texts(cells: Iterable[Cell]) -> list[str]:
    """Values that are there as texts."""
    return [c if isinstance(c, str) else text_of(c) for c in cells if c is not None]


def ids(cells: Sequence[Cell], categories: Sequence[str]) -> np.ndarray:
    """The id of each value, float64 (N,): i + 1 for ``categories[i]``, 0 for anything else."""
    index = {text: i for i, text in enumerate(categories, 1)}
    return np.array([_looked_up(c, index) for c in cells], np.float64)


def _looked_up(cell: Cell, index: Mapping[str, int]) -> int:
    if cell is None:
        return 0
    return index.get(cell if isinstance(cell, str) else text_of(cell), 0)


def hashed(cells: Sequence[Cell], buckets: int) -> np.ndarray:
    """The id of each value, float64 (N,): 1 + BLAKE2b(UTF-8 text) mod ``buckets``, 0 for a missing one.

    A whole number has one text, be it written as one (``101``), with decimals (``101.0``) or stored as a number.
    The hash has 8 bytes, the first of them the lowest. Half a surrogate pair, which JSON may hold, has the three bytes
    that UTF-8 would have for its number.
    """
    seen: dict[Cell, int] = {None: 0}
    for cell in set(cells) - {None}:
        text = _DECIMALS.sub(r"\1", texts([cell])[0])
        digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest()
        seen[cell] = 1 + int.from_bytes(digest, "little") % buckets
    return np.array([seen[c] for c in cells], np.float64)
