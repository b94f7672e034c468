"""From rows to samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dlrun.data.source import Column
from dlrun.data.tables.numbers import hashed, ids, parsed, shortened, texts
from dlrun.data.tables.rows import SHOWN, Cell, Options, Rows, refuse
from dlrun.data.tables.scheme import Scheme, are_whole, class_text, require
from dlrun.errors import DlrunError, did_you_mean
from dlrun.errors import Path as RecipePath


@dataclass(frozen=True)
class Encoded:
    """A file as samples.

    Args:
        x: float64 (N, columns).
        y: Class ids int64 (N,), numbers float32 (N,); no entries without a target.
        skipped: What was wrong with rows that were left out, by where they begin.
        unknown: How often each column has each value that is none of its categories.
    """

    x: np.ndarray
    y: np.ndarray
    skipped: dict[int, str]
    unknown: Counter[tuple[str, str]]


def encode(rows: Rows, scheme: Scheme, options: Options, where: RecipePath, target: bool = True) -> Encoded:
    """Samples and their labels, every value checked.

    Args:
        rows: Of a file.
        scheme: What its columns are.
        options: How files are read.
        where: Key of the recipe that names the file; empty for a file to predict.
        target: Whether there are labels.

    Raises:
        DlrunError: ``missing-column``, ``bad-rows``, ``unknown-class``, ``empty-data``.
    """
    names = [column.name for column in scheme.columns]
    require(rows, [*names, scheme.target] if target else names, where, options)
    wrong: dict[int, str] = {}
    strange: list[tuple[int, str, str]] = []
    x = np.empty((len(rows), len(names)))
    for c, column in enumerate(scheme.columns):
        cells, odd = rows.cells(column.name)
        x[:, c], bad = _values(cells, column, options)
        for i, text in {**bad, **odd}.items():
            wrong.setdefault(i, text)
        if column.categories is not None and not column.buckets and np.count_nonzero(x[:, c] == 0) > cells.count(None):
            known = set(column.categories)
            there = [i for i, cell in enumerate(cells) if cell is not None]
            strange += [(i, column.name, t) for i, t in zip(there, texts(cells), strict=True) if t not in known]
    y = np.empty(0)
    if target:
        y, bad = _labels(rows, scheme, options, where)
        wrong = {**bad, **wrong}
    refused = {**rows.bad, **{rows.numbers[i]: text for i, text in wrong.items()}}
    if options.bad_rows == "stop" or not where:
        refuse(rows.path, refused, rows.unit, where)
    kept = np.ones(len(rows), bool)
    kept[list(wrong)] = False
    if not kept.any():
        raise DlrunError("empty-data", f"`{rows.path}`: none of its rows can be used.", path=where)
    unknown = Counter((name, text) for i, name, text in strange if kept[i])
    return Encoded(x[kept], y[kept] if target else y, refused, unknown)


def unknown_told(unknown: Counter[tuple[str, str]]) -> list[str]:
    """A sentence on each column with values that are not known."""
    found = []
    for name in dict.fromkeys(name for name, _ in unknown):
        counts = Counter({text: count for (column, text), count in unknown.items() if column == name})
        total = counts.total()
        values, are, count = ("1 value", "is", "counts") if total == 1 else (f"{total:,} values", "are", "count")
        shown = ", ".join(f"`{shortened(text)}`" for text, _ in counts.most_common(SHOWN))
        more = f" and {len(counts) - SHOWN:,} more" if len(counts) > SHOWN else ""
        found.append(f"{values} of `{name}` {are} not known from training and {count} as missing: {shown}{more}.")
    return found


def _values(cells: Sequence[Cell], column: Column, options: Options) -> tuple[np.ndarray, dict[int, str]]:
    if column.categories is None:
        return parsed(cells, column.name, options.decimal)
    return (hashed(cells, column.buckets) if column.buckets else ids(cells, column.categories)), {}


def _labels(rows: Rows, scheme: Scheme, options: Options, where: RecipePath) -> tuple[np.ndarray, dict[int, str]]:
    """Labels, and what is wrong with those that are missing or no numbers."""
    name = scheme.target
    cells, bad = rows.cells(name)
    bad |= {i: f"the target `{name}` is missing" for i, c in enumerate(cells) if c is None and i not in bad}
    if scheme.classes is None:
        values, wrong = parsed(cells, name, options.decimal)
        with np.errstate(over="ignore"):
            y = values.astype(np.float32)
        for i in np.flatnonzero(np.isinf(y)).tolist():
            wrong[i] = f"`{name}` is `{shortened(cells[i])}`, beyond the range of float32"
        return y, {**wrong, **bad}
    index, whole = {text: i for i, text in enumerate(scheme.classes)}, are_whole(scheme.classes)
    known: dict[Cell, int] = {None: -1}
    known |= {c: index.get(class_text(c, whole, options.decimal), -1) for c in set(cells) if c is not None}
    strange = [(i, c) for i, c in enumerate(cells) if c is not None and known[c] < 0]
    if strange:
        first, cell = strange[0]
        text = class_text(cell, whole, options.decimal)
        count = f", the first of {len(strange):,} rows of no known class" if len(strange) > 1 else ""
        raise DlrunError(
            "unknown-class",
            f"`{rows.path}` has the class `{text}` at `{rows.at(first)}`{count}.",
            path=where,
            hint=did_you_mean(text, scheme.classes, f"There are {len(scheme.classes)} classes in training.") or None,
        )
    return np.array([known[c] for c in cells], np.int64), bad
