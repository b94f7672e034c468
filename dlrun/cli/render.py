"""What verbs draw: reports on standard output; notes, errors and next steps on standard error."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from dlrun.errors import DlrunError, DlrunErrors, Where, dotted

_json_stream: IO[str] | None = None


def reserve_stdout(stream: IO[str] | None) -> None:
    """Send JSON to ``stream`` from now on; standard output itself then belongs to nobody."""
    global _json_stream
    _json_stream = stream


def stdout() -> Console:
    """Where reports go."""
    return Console(highlight=False, soft_wrap=True, emoji=False, markup=False)


def stderr() -> Console:
    """Where progress, notes, errors and next steps go."""
    return Console(stderr=True, highlight=False, soft_wrap=True, emoji=False, markup=False)


def print_json(value: Mapping[str, Any]) -> None:
    """The one JSON object of a ``--json`` run."""
    from dlrun.files import as_json

    stream = _json_stream or sys.stdout
    stream.write(json.dumps(as_json(value), ensure_ascii=False, indent=2) + "\n")
    stream.flush()


def number(value: Any) -> str:
    """A number as a person reads it: 421642 -> 421,642, 0.98765432 -> 0.9877."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if value and math.isfinite(value) and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.3g}"
    return f"{value:.4f}"


def duration(seconds: float) -> str:
    """1:02:03, 2:03 or 4.5 s."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02}:{s:02}" if hours else f"{m}:{s:02}"


def scalars(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The plain numbers among metrics (a confusion matrix is not one)."""
    return {k: v for k, v in metrics.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}


def outcomes(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Of a training's metrics those that say how good it is, not how long it took."""
    return {k: v for k, v in scalars(metrics).items() if k.startswith(("train_loss", "val_", "test_"))}


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    right: Sequence[str] = (),
    total: Sequence[Any] | None = None,
    title: str | None = None,
    wrapped: Mapping[str, int] | None = None,
) -> None:
    """A table on standard output; columns named in ``right`` are aligned right.

    A file or a pipe has no edge: there columns are as wide as their text, those in ``wrapped`` at most so wide.
    """
    console = stdout()
    limits = {} if console.is_terminal else wrapped or {}
    drawn = Table(box=None, pad_edge=False, title=title, title_justify="left", header_style="bold")
    for column in columns:
        numeric = column in right
        justify: JustifyMethod = "right" if numeric else "left"
        drawn.add_column(column, justify=justify, overflow="fold", no_wrap=numeric, max_width=limits.get(column))
    for row in rows:
        drawn.add_row(*(_cell(c) for c in row))
    if total is not None:
        drawn.add_row(*(Text(number(c) if not isinstance(c, str) else c, style="bold") for c in total))
    if console.is_terminal:
        console.print(drawn, soft_wrap=False)
        return
    console.width = 1000
    with console.capture() as captured:
        console.print(drawn, soft_wrap=False)
    for text in captured.get().splitlines():
        line(text.rstrip())


def facts(pairs: Iterable[tuple[str, str]]) -> None:
    """Named facts on standard output, one a line."""
    console = stdout()
    for name, text in pairs:
        console.print(Text.assemble((f"{name:<12}", "bold"), text))


def matrix(value: Any) -> None:
    """A nested list as rows of numbers, anything else as it is; on standard output."""
    rows = value if isinstance(value, list) and value and isinstance(value[0], list) else [[value]]
    cells = [[number(c) for c in row] for row in rows]
    width = max(cell_len(c) for row in cells for c in row)
    for row in cells:
        line("  " + " ".join(c.rjust(width) for c in row))


def records(rows: Sequence[Mapping[str, Any]]) -> None:
    """Records as a table, a column per key."""
    if rows:
        columns = list(dict.fromkeys(k for row in rows for k in row))
        numeric = [c for c in columns if isinstance(rows[0].get(c), (int, float))]
        table(columns, [[row.get(c) for c in columns] for row in rows], right=numeric)


def _cell(value: Any) -> Text:
    return value if isinstance(value, Text) else Text("" if value is None else number(value))


def line(text: str = "", *, style: str = "") -> None:
    """A line on standard output."""
    stdout().print(Text(text, style=style))


def note(text: str, *, style: str = "dim") -> None:
    """A line on standard error."""
    stderr().print(Text(text, style=style))


def notes(texts: Iterable[str]) -> None:
    """What the user should know, on standard error."""
    for text in texts:
        stderr().print(Text.assemble(("note: ", "yellow"), text))


def next_steps(steps: Sequence[tuple[str, str]]) -> None:
    """The commands that are useful now, each with what it does, on standard error."""
    width = max(cell_len(command) for command, _ in steps)
    console = stderr()
    console.print(Text("Next:", style="bold"))
    for command, what in steps:
        pad = " " * max(width - cell_len(command), 0)
        console.print(Text.assemble("  ", (command, "cyan"), pad, (f"  # {what}", "dim")))


def annotated(lines: Iterable[tuple[str, str]]) -> None:
    """YAML lines on standard output, each with a comment at its right."""
    lines = list(lines)
    width = min(max((cell_len(text) for text, _ in lines), default=0), 60)
    console = stdout()
    for text, remark in lines:
        pad = " " * max(width - cell_len(text), 0)
        console.print(Text.assemble(text, pad, (f"  # {remark}", "dim")) if remark else Text(text))


def errors(error: DlrunError) -> None:
    """Each mistake as a block of its own on standard error."""
    console = stderr()
    several = error.errors if isinstance(error, DlrunErrors) else (error,)
    for i, one in enumerate(several):
        if i:
            console.print()
        console.print(Text.assemble((one.code, "bold red"), f": {one.message}"))
        place = "  ".join(p for p in (str(one.where or ""), dotted(one.path)) if p)
        if place:
            console.print(Text.assemble("  at ", (place, "cyan")))
        if one.where is not None:
            _excerpt(console, one.where)
        if one.hint:
            console.print(Text.assemble(("  hint: ", "green"), one.hint))


def _excerpt(console: Console, where: Where) -> None:
    if where.file is None or where.line is None or where.override is not None:
        return
    try:
        source = Path(where.file).read_text("utf-8", errors="replace").splitlines()[where.line - 1].expandtabs(1)
    except (OSError, IndexError):
        return
    column = (where.column or 1) - 1
    start = max(column - 60, 0)  # a long line is shown around the column
    gutter = f"  {where.line} | "
    console.print(Text.assemble((gutter, "dim"), source[start : start + 100]))
    if where.column is not None:
        pad = " " * cell_len(source[start:column])
        console.print(Text.assemble((" " * (len(gutter) - 2) + "| ", "dim"), pad, ("^", "bold red")))
