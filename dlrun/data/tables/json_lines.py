"""JSON lines: an object a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dlrun.data.tables.rows import Options, Rows
from dlrun.errors import DlrunError
from dlrun.errors import Path as RecipePath


def read_json_lines(path: Path, text: str, options: Options, where: RecipePath) -> Rows:
    """Objects whose keys are columns; one that is null, or absent where another object has it, is a missing value.

    Raises:
        DlrunError: ``empty-data``.
    """
    rows: list[dict[str, Any]] = []
    numbers: list[int] = []
    bad: dict[int, str] = {}
    names: dict[str, None] = {}
    for line, row in enumerate(text.split("\n"), 1):
        if not row.strip():
            continue
        try:
            said = json.loads(row)
        except (ValueError, RecursionError) as error:
            bad[line] = f"it is not JSON: {getattr(error, 'msg', error)}"
            continue
        if not isinstance(said, dict):
            bad[line] = f"it holds `{_short(row)}`, not an object"
            continue
        rows.append(said)
        numbers.append(line)
        names.update(dict.fromkeys(said))
    if not rows and not bad:
        raise DlrunError("empty-data", f"`{path}` has no rows.", path=where)
    columns = {name: [row.get(name) for row in rows] for name in names}
    return Rows(path, columns, numbers, frozenset(options.missing), bad)


def _short(text: str) -> str:
    text = text.strip()
    return text if len(text) <= 20 else text[:19] + "…"
