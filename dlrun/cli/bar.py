"""A bar for work that is told what, how much of it, and of how much."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlrun.data.waiting import Tell


@contextmanager
def bar(quiet: bool) -> Iterator[Tell]:
    """A bar on a terminal, a line for each thing that begins elsewhere; on standard error. Waits join it."""
    from rich.filesize import decimal
    from rich.progress import BarColumn, Progress, TextColumn

    from dlrun.cli import render
    from dlrun.data.waiting import drawn_by

    console = render.stderr()
    live = console.is_terminal and not console.is_dumb_terminal
    if quiet or not live:
        begun: set[str] = set()

        def line(what: str, done: int, of: int | None, in_bytes: bool = False) -> None:
            if what not in begun and not quiet:
                begun.add(what)
                render.note(what)

        with drawn_by(lambda: nullcontext(line)):
            yield line
        return
    columns: tuple[Any, ...] = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[far]}"),
    )
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as drawn:
        task = drawn.add_task("starting", total=None, far="")

        def update(what: str, done: int, of: int | None, in_bytes: bool = False) -> None:
            numbers = [decimal(n) if in_bytes else f"{n:,}" for n in (done, of) if n is not None]
            drawn.update(task, description=what, completed=done, total=of, far="/".join(numbers))

        with drawn_by(lambda: nullcontext(update)):
            yield update
