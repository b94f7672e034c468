"""CSV and its relatives (RFC 4180), read by Python's ``csv``."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from dlrun.data.tables.rows import Options, Rows, place
from dlrun.errors import DlrunError
from dlrun.errors import Path as RecipePath


def read_delimited(
    path: Path, text: str, options: Options, delimiter: str | None, where: RecipePath, target: str | None
) -> Rows:
    """Rows of values between delimiters. Blanks around values do not count, nor do lines of nothing else.

    A value in quotes may have spaces before it, and nothing behind it.

    Args:
        path: Where the text is from.
        text: The file's.
        options: How it is read.
        delimiter: Between values; a comma when left out.
        where: Key of the recipe that names the file.
        target: Name in ``options.header`` that the file may lack.

    Raises:
        DlrunError: ``empty-data``, ``duplicate-column``, ``open-quote``.
    """
    rows, lines = _split(path, text, delimiter or ",", where)
    if not rows:
        raise DlrunError("empty-data", f"`{path}` is empty.", path=where)
    if options.header is not None:
        names = options.header
        if target in names and len(rows[0]) == len(names) - 1:
            names = tuple(name for name in names if name != target)
        begin = 0
    else:
        names = tuple(name.strip() for name in rows[0])
        begin = 1
    check_names(path, names, where)
    good, numbers = [], []
    bad: dict[int, str] = {}
    width, heading = len(names), rows[0] if begin else None
    for row, line in islice(zip(rows, lines, strict=True), begin, None):
        if len(row) != width:
            values = "1 value" if len(row) == 1 else f"{len(row)} values"
            bad[line] = f"it has {values}, not {width}"
        elif row == heading:
            bad[line] = "it is the header once more"
        else:
            good.append(row)
            numbers.append(line)
    if not good and not bad:
        raise DlrunError("empty-data", f"`{path}` has a header, but no rows.", path=where)
    columns = zip(*good, strict=True) if good else ((),) * width
    return Rows(path, dict(zip(names, columns, strict=True)), numbers, frozenset(options.missing), bad)


def check_names(path: Path, names: Sequence[str], where: RecipePath) -> None:
    """Raise ``duplicate-column`` if two columns have the same name."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        places = [i for i, name in enumerate(names, 1) if name == twice[0]]
        raise DlrunError(
            "duplicate-column",
            f"`{path}` has the column `{twice[0]}` {len(places)} times, as columns {', '.join(map(str, places))}.",
            path=where,
            hint="Give each column a name of its own.",
        )


def _split(path: Path, text: str, delimiter: str, where: RecipePath) -> tuple[list[list[str]], list[int]]:
    """Rows that are not empty, and the line where each begins."""
    written = list(io.StringIO(text, newline=""))
    reader = csv.reader(written, delimiter=delimiter, skipinitialspace=True, strict=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    begin = 1
    limit = csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    try:
        for row in reader:
            if len(row) > 1 or written[begin - 1].strip():
                rows.append(row)
                lines.append(begin)
            begin = reader.line_num + 1
    except csv.Error as error:
        said = "a quote is opened and never closed" if "unexpected end" in str(error) else str(error)
        raise DlrunError(
            "open-quote",
            f"`{path}` cannot be split into values: in the row that begins at `{place(path, begin)}`, {said}.",
            path=where,
            hint='Values that hold a delimiter or a quote stand between quotes, `"`, with quotes within doubled.',
        ) from None
    finally:
        csv.field_size_limit(limit)
    return rows, lines
