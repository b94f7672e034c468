"""What a table's columns are: said by the recipe, found in the training file, or known from a run."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dlrun.data.source import Column, Signature
from dlrun.data.tables.numbers import no_numbers, parsed, shortened, texts, whole_number
from dlrun.data.tables.rows import Cell, Mark, Options, Rows, Value, other_delimiter
from dlrun.errors import DlrunError, did_you_mean, nearest, together
from dlrun.errors import Path as RecipePath

Kind = Literal["number", "category", "skip"]
Kinds = Mapping[str, Kind | Mapping[Literal["hash"], int]]

FEW = 20
"""Whole numbers of up to so many different values are taken for classes."""
TYPING_ERROR = 0.9
"""From this share of numbers on, the rest of a column are taken for mistakes."""
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")
_NO_NAME = re.compile(r"|__index_level_\d+__")


@dataclass(frozen=True)
class Scheme:
    """What a row becomes.

    Args:
        columns: Of a sample, in order.
        target: Name of the target's column.
        classes: Its texts in the order of their ids; None where it is a number.
    """

    columns: tuple[Column, ...]
    target: str
    classes: tuple[str, ...] | None


@dataclass(frozen=True)
class Target:
    """What the recipe says of the target.

    Args:
        name: Of its column.
        type: ``class``, ``number``, or None for what its values look like.
        classes: In their order, or None for those of the training file.
    """

    name: str
    type: Literal["class", "number"] | None = None
    classes: tuple[str, ...] | None = None


def known_scheme(signature: Signature, target: str) -> Scheme:
    """What a run found in its training data."""
    return Scheme(signature.columns, target, None if signature.classes is None else signature.class_names)


def find_scheme(rows: Rows, kinds: Kinds, target: Target, options: Options) -> Scheme:
    """Types of the columns and the target, from the training file.

    Args:
        rows: Of the training file.
        kinds: Types that the recipe says.
        target: What it says of the target.
        options: How files are read.

    Raises:
        DlrunError: ``missing-column``, ``unknown-column``, ``contradiction``, ``unnamed-column``, ``mixed-column``,
            ``empty-column``, ``nested-column``, ``distinct-texts``, ``no-columns``, ``single-class``, ``empty-class``,
            ``wrong-decimal``; one for each column at most.
    """
    errors: list[DlrunError] = []
    try:
        require(rows, [target.name], _TARGET, options)
    except DlrunError as error:
        if other_delimiter(rows.columns) is not None:  # no name that the recipe says would be found
            raise
        errors.append(error)
    for name in kinds:
        if name == target.name:
            said = f"`{name}` is the target, which is no column of a sample."
            errors.append(_of(name, "contradiction", said, "Remove it."))
        elif name not in rows.columns:
            hint = did_you_mean(name, [n for n in rows.columns if n != target.name], "")
            said = f"`{rows.path}` has no column `{name}`."
            errors.append(_of(name, "unknown-column", said, hint or _listed(rows)))
    columns: list[Column] = []
    classes: tuple[str, ...] | None = None
    for name in rows.columns:
        try:
            if name == target.name:
                classes = _classes(rows, target, options)
            elif (column := _column(rows, name, kinds.get(name), options)) is not None:
                columns.append(column)
        except DlrunError as error:
            errors.append(error)
    if not columns and not errors:
        said = f"no column of `{rows.path}` is left beside the target."
        errors.append(DlrunError("no-columns", said, path=("data", "source", "columns")))
    if errors:
        raise together(errors)
    return Scheme(tuple(columns), target.name, classes)


def require(rows: Rows, names: Sequence[str], where: RecipePath, options: Options) -> None:
    """Raise ``missing-column`` unless the file has all these columns."""
    absent = [name for name in names if name not in rows.columns]
    if not absent:
        return
    what = ", ".join(f"`{name}`" for name in absent[:5]) + (f" and {len(absent) - 5} more" if absent[5:] else "")
    hint = _listed(rows)
    same = [name for name in rows.columns if name.casefold() == absent[0].casefold()]
    if close := same or nearest(absent[0], rows.columns):
        hint = f"Did you mean `{close[0]}`? {hint}"
    hint = other_delimiter(rows.columns, where) or hint
    raise DlrunError("missing-column", f"`{rows.path}` has no column {what}.", path=where, hint=hint)


def _column(
    rows: Rows, name: str, kind: Kind | Mapping[Literal["hash"], int] | None, options: Options
) -> Column | None:
    if kind == "skip":
        return None
    if kind is None and _NO_NAME.fullmatch(name):
        raise DlrunError(
            "unnamed-column",
            f"column {list(rows.columns).index(name) + 1} of `{rows.path}` has no name, as when a table is saved with "
            "the numbers of its rows.",
            path=("data", "source", "columns"),
            hint=f'Write `"{name}": skip` in `columns`, or the type that it has.',
        )
    if isinstance(kind, Mapping):
        return Column(name, (), kind["hash"])
    if kind == "number":
        return Column(name)
    cells, odd = rows.cells(name)
    there = [c for c in cells if c is not None]
    if kind is None:
        wrong = no_numbers(set(there), options.decimal)
        hint = f"Write `{name}: skip` in `columns`, or the type that it has."
        if not there and odd:
            raise _of(
                name,
                "nested-column",
                f"`{rows.path}` holds no single values: `{rows.at(min(odd))}`, {odd[min(odd)]}.",
                hint,
            )
        if not there:
            raise _of(name, "empty-column", f"`{rows.path}` has no value in the column `{name}`.", hint)
        if not wrong:  # values that are no single ones are found again, and refused
            return Column(name)
        _check_mark(rows, name, cells, wrong, options)
        _check_mixed(rows, name, cells, wrong, options)
    found = tuple(sorted(set(texts(set(there)))))
    if kind is None and len(found) == len(there) > FEW:
        raise _of(
            name,
            "distinct-texts",
            f"`{rows.path}` has another text in each of the {len(there):,} values of `{name}`: nothing can be learned "
            "from them.",
            f"Write `{name}: skip` in `columns`; `{name}: category` keeps them.",
        )
    return Column(name, found)


def _check_mark(
    rows: Rows, name: str, cells: Sequence[Cell], wrong: Collection[Value], options: Options, *, target: bool = False
) -> None:
    """Numbers with the other decimal mark are no numbers; a category would hide them."""
    other: Mark = "," if options.decimal == "." else "."
    texts_still = no_numbers({cell for cell in cells if cell is not None}, other)
    gained = [i for i, cell in enumerate(cells) if cell in wrong and cell not in texts_still]
    there = len(cells) - cells.count(None)
    if not gained or sum(cell in texts_still for cell in cells) > (1 - TYPING_ERROR) * there:
        return
    if sum(cell in wrong for cell in cells) > 2 * len(gained):  # other texts are what keeps it from being a number
        return
    first = gained[0]
    kept = "`target_type: class`" if target else f"`{name}: category`"
    hint = f'Write `decimal: "{other}"`; {kept} keeps the texts.'
    if all(_THOUSANDS.fullmatch(str(cells[i])) for i in gained):
        hint += f" Where `{other}` separates thousands, take it out of the file instead."
    said = f"`{rows.path}` has numbers with `{other}` as the decimal mark in the column `{name}`"
    error = _of(name, "wrong-decimal", f"{said}: `{rows.at(first)}` has `{shortened(cells[first])}`.", hint)
    error.path = _TARGET if target else error.path
    raise error


def _check_mixed(
    rows: Rows, name: str, cells: Sequence[Cell], wrong: Collection[Value], options: Options, *, target: bool = False
) -> None:
    """A few texts among numbers are mistakes; a category would hide them."""
    mistakes = [i for i, cell in enumerate(cells) if cell in wrong]
    there = len(cells) - cells.count(None)
    if there - len(mistakes) < TYPING_ERROR * there:
        return
    first = mistakes[0]
    others = f", the first of {len(mistakes):,} such values" if len(mistakes) > 1 else ""
    said = parsed([cells[first]], name, options.decimal)[1][0]
    message = f"`{rows.path}` has numbers in the column `{name}`, but at `{rows.at(first)}` {said}{others}."
    refused, taken = (
        ("`target_type: number`", "`target_type: class`")
        if target
        else (f"`{name}: number` in `columns`", f"`{name}: category`")
    )
    hint = f"Add the text to `missing`, or write {refused}, which makes such rows bad ones, or {taken}."
    error = _of(name, "mixed-column", message, hint)
    error.path = _TARGET if target else error.path
    raise error


def _classes(rows: Rows, target: Target, options: Options) -> tuple[str, ...] | None:
    """The target's classes; None for a number."""
    name = target.name
    if target.type == "number":
        return None
    cells, _ = rows.cells(name)
    values = {c for c in cells if c is not None}
    if not values:
        raise DlrunError("empty-data", f"`{rows.path}` has no value of the target `{name}`.", path=_TARGET)
    numbers = {whole_number(v, options.decimal) for v in values}
    whole = None not in numbers if target.classes is None else are_whole(target.classes)
    if target.classes is None and target.type is None and not (whole and len(numbers) <= FEW):
        wrong = no_numbers(values, options.decimal)
        if not wrong:
            return None
        _check_mark(rows, name, cells, wrong, options, target=True)
        if len(set(texts(values))) > FEW:
            _check_mixed(rows, name, cells, wrong, options, target=True)
    found = {class_text(v, whole, options.decimal) for v in values}
    if target.classes is not None:
        lacking = [c for c in target.classes if c not in found]
        if lacking:
            raise DlrunError(
                "empty-class",
                f"`{rows.path}` has no row of the class `{lacking[0]}`.",
                path=("data", "source", "classes"),
                hint=did_you_mean(lacking[0], sorted(found)) or None,
            )
        return target.classes
    if len(found) == 1:
        hint = "Is it the right column? For a number, write `target_type: number`."
        only = found.pop()
        message = f"`{rows.path}` has the one class `{only}` in `{name}`: there is nothing to tell apart."
        raise DlrunError("single-class", message, path=_TARGET, hint=hint)
    return tuple(sorted(found, key=int if whole else None))


_TARGET = ("data", "source", "target")


def class_text(value: Value, whole: bool, decimal: Mark) -> str:
    """A target's value as a class's name; ``whole`` where all classes are whole numbers, however written."""
    number = whole_number(value, decimal) if whole else None
    return texts([value])[0] if number is None else str(number)


def are_whole(classes: Sequence[str]) -> bool:
    """Whether classes are whole numbers."""
    return all(re.fullmatch(r"0|-?[1-9]\d*", name) for name in classes)


def _of(name: str, code: str, message: str, hint: str) -> DlrunError:
    return DlrunError(code, message, path=("data", "source", "columns", name), hint=hint)


def _listed(rows: Rows) -> str:
    names = list(rows.columns)
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return "Its columns: " + ", ".join(f"`{n}`" for n in names[:12]) + more + "."
