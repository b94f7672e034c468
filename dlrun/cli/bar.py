"""A bar for work that is told what, how much of it, and of how much."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def bar(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on a terminal, a line for each thing that begins elsewhere; on standard error."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from dlrun.cli import render

    console = render.stderr()
    live = console.is_terminal and not console.is_dumb_terminal
    if quiet or not live:
        begun: set[str] = set()

        def line(what: str, done: int, of: int) -> None:
            if what not in begun and not quiet:
                begun.add(what)
                render.note(what)

        yield line
        return
    columns: tuple[Any, ...] = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as drawn:
        task = drawn.add_task("starting", total=None)
        yield lambda what, done, of: drawn.update(task, description=what, completed=done, total=of)
