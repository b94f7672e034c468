"""Values of a table as numbers, texts and ids."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from dlrun.data.tables.rows import Cell, text_of

_SWAPPED = str.maketrans(",.", ".,")


def parsed(cells: Sequence[Cell], name: str, decimal: Literal[".", ","] = ".") -> tuple[np.ndarray, dict[int, str]]:
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
        values = np.array([np.nan if c is None else _try(c, decimal) for c in cells])
    wrong = {}
    for i in np.flatnonzero(~np.isfinite(values)).tolist():
        cell = cells[i]
        if cell is not None:
            what = "not a number" if np.isnan(values[i]) else "not a finite number"
            wrong[i] = f"`{name}` is `{_short(cell)}`, {what}"
    values[~np.isfinite(values)] = np.nan
    return values, wrong


def no_numbers(cells: Sequence[Cell], name: str, decimal: Literal[".", ","]) -> dict[int, str]:
    """What is wrong with values that are not even infinite, by index: those that tell a category from a number."""
    wrong = parsed(cells, name, decimal)[1]
    return {i: text for i, text in wrong.items() if np.isnan(_try(cells[i] or 0, decimal))}


def _number(cell: str | int | float, decimal: str) -> float:
    if isinstance(cell, str):
        if "_" in cell:  # Python's way to write a number
            raise ValueError
        if decimal == ",":
            cell = cell.translate(_SWAPPED)
    return float(cell)


def _try(cell: str | int | float, decimal: str) -> float:
    try:
        return _number(cell, decimal)
    except ValueError:
        return np.nan
    except OverflowError:  # an integer of more than 308 digits
        return np.inf


def _short(cell: str | int | float) -> str:
    text = str(cell)
    return text if len(text) <= 40 else text[:39] + "…"


def texts(cells: Sequence[Cell]) -> list[str]:
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

    The hash has 8 bytes, the first of them the lowest.
    """
    seen: dict[Cell, int] = {None: 0}
    for cell in set(cells) - {None}:
        digest = hashlib.blake2b(texts([cell])[0].encode(), digest_size=8).digest()
        seen[cell] = 1 + int.from_bytes(digest, "little") % buckets
    return np.array([seen[c] for c in cells], np.float64)
