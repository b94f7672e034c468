"""The rows of one file, as they stand in it."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dlrun.errors import DlrunError
from dlrun.errors import Path as RecipePath

Format = Literal["csv", "tsv", "json_lines", "parquet"]
Mark = Literal[".", ","]
"""What stands before the decimals of a number."""
Value = str | int | float
Cell = Value | None
"""A value that is there, or None."""

SHOWN = 5
"""How many bad rows an error names, and how many unknown values a note."""

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "?")


@dataclass(frozen=True)
class Options:
    """How files are read; the fields of the source ``table`` of the same names.

    Args:
        format: Or None for what the file's ending says.
        delimiter: Or None for the format's own.
        encoding: Name of a text encoding.
        header: Names of the columns, where files have none.
        missing: Texts that stand for nothing; those of numbers also where a number is stored.
        decimal: The decimal mark.
        bad_rows: What becomes of rows that cannot be read.
    """

    format: Format | None = None
    delimiter: str | None = None
    encoding: str = "utf-8"
    header: tuple[str, ...] | None = None
    missing: tuple[str, ...] = MISSING
    decimal: Mark = "."
    bad_rows: Literal["stop", "skip"] = "stop"


@dataclass(frozen=True)
class Rows:
    """What a file holds.

    Args:
        path: The file.
        columns: Values by column, as stored, each as long as ``numbers``.
        numbers: Where each row begins: its line, or its number from 1 in a file without lines.
        missing: Texts that stand for nothing.
        bad: What is wrong with rows that are left out, by where they begin.
        unit: What ``numbers`` count.
    """

    path: Path
    columns: Mapping[str, Sequence[object]]
    numbers: Sequence[int]
    missing: frozenset[str]
    bad: Mapping[int, str] = field(default_factory=dict)
    unit: Literal["line", "row"] = "line"

    def __len__(self) -> int:
        return len(self.numbers)

    def cells(self, name: str) -> tuple[list[Cell], dict[int, str]]:
        """A column's values, and what is wrong with those that are no single value, by index of the row."""
        missing, odd = self.missing, dict[int, str]()
        numbers = set(map(_number, missing)) - {None}
        found: list[Cell] = []
        for i, value in enumerate(self.columns[name]):
            if isinstance(value, str):
                text = value.strip()
                found.append(None if text in missing else text)
            elif value is None or value != value:  # NaN
                found.append(None)
            elif isinstance(value, bool):
                found.append("true" if value else "false")
            elif isinstance(value, int | float):
                found.append(None if value in numbers else value)
            elif isinstance(value, decimal.Decimal):
                number = int(value) if value == value.to_integral_value() else float(value)
                found.append(None if number in numbers else number)
            elif isinstance(value, datetime.date | datetime.time):
                found.append(value.isoformat())
            else:
                odd[i] = f"`{name}` holds a {type(value).__name__}, not a single value"
                found.append(None)
        return found, odd

    def at(self, index: int) -> str:
        """Where a row begins, ``train.csv:17``."""
        return place(self.path, self.numbers[index], self.unit)


def _number(text: str) -> float | None:
    """The number that a text stands for; None for any other text, and for NaN, which is missing anyway."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if number == number else None


def place(path: Path, number: int, unit: str = "line") -> str:
    """Where a row stands, as errors write it."""
    return f"{path.name}:{number}" if unit == "line" else f"{path.name} row {number}"


def text_of(cell: Value) -> str:
    """A value as a category's text; whole numbers have no decimals."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)


def setting(key: str, value: str, where: RecipePath) -> str:
    """What to do about a setting of the source, as hints say it.

    Args:
        key: Field of the source.
        value: As YAML has it.
        where: Key of the recipe that names the file; empty for a file to predict.
    """
    if where:
        return f"write `{key}: {value}`"
    override = f"data.source.{key}={value}"
    return f"add `'{override}'` to the command" if '"' in value else f"add `{override}` to the command"


def other_delimiter(names: Collection[str], where: RecipePath = ()) -> str | None:
    """What to do about a file whose only column has a delimiter in its name; None for any other file.

    Args:
        names: Of its columns.
        where: Key of the recipe that names the file; empty for a file to predict.
    """
    if len(names) != 1:
        return None
    (only,) = names
    other = next((d for d in (";", "\t", "|", ",") if d in only), None)
    if other is None:
        return None
    shown = "\\t" if other == "\t" else other
    way = setting("delimiter", f'"{shown}"', where)
    return f"Its one column is called `{only[:40]}`: {way}."


def refuse(path: Path, bad: Mapping[int, str], unit: str, where: RecipePath) -> None:
    """Raise ``bad-rows`` if there are any: all of them counted, the first few told."""
    if not bad:
        return
    told = [f"`{place(path, number, unit)}`: {bad[number]}" for number in sorted(bad)[:SHOWN]]
    rest = f"; and {len(bad) - SHOWN:,} more" if len(bad) > SHOWN else ""
    rows = "1 row" if len(bad) == 1 else f"{len(bad):,} rows"
    raise DlrunError(
        "bad-rows",
        f"`{path}` has {rows} that cannot be used. {'; '.join(told)}{rest}.",
        path=where,
        hint="Correct the file, or leave such rows out: `bad_rows: skip`."
        if where
        else "Correct the file: each of its rows gets a prediction.",
    )
