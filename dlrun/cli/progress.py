"""Draws a run's events while it works: a live bar on a terminal, plain lines elsewhere; on standard error."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from dlrun.cli import render
from dlrun.cli.bar import bar
from dlrun.run import events

if TYPE_CHECKING:
    from dlrun.data.waiting import Tell

_LONG_WAIT = 0.05
"""Share of an epoch."""
_BAR_INTERVAL_S = 0.15
_LINE_INTERVAL_S = 10.0


@contextmanager
def watch(*, quiet: bool = False) -> Iterator[Lines]:
    """A listener that draws until the block ends; with ``quiet`` it says only what the user must know."""
    from dlrun.data.waiting import drawn_by

    console = render.stderr()
    live = console.is_terminal and not console.is_dumb_terminal and not quiet
    listener = Bar(console) if live else Lines(console, quiet=quiet)
    try:
        with drawn_by(listener.waits) if isinstance(listener, Bar) else nullcontext():
            yield listener
    finally:
        listener.close()


class Lines:
    """One line per epoch, and one at most every ten seconds in between."""

    interval_s = _LINE_INTERVAL_S

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._last = time.monotonic()
        self._begun = self._last
        self._start: events.RunStarted | None = None

    def __call__(self, event: events.Event) -> None:
        match event:
            case events.Progress():  # the frequent one; mostly it costs a look at the clock
                now = time.monotonic()
                if now - self._last >= self.interval_s:
                    self._last = now
                    self.progress(event)
            case events.RunStarted():
                self._start = event
                self._begun = self._last = time.monotonic()
                self.started(event)
            case events.EpochEnded():
                self.epoch(event)
            case events.Note():
                self._console.print(Text.assemble(("note: ", "yellow"), event.text))
            case _:  # a checkpoint is not worth a line, and the end has a report of its own
                pass

    def close(self) -> None:
        """Stop drawing."""

    def started(self, event: events.RunStarted) -> None:
        """Say what begins."""
        render.notes(event.notes)
        if self._quiet:
            return
        frozen = f" and {event.frozen:,} frozen" if event.frozen else ""
        held_out = f", {event.validation_samples:,} for validation" if event.validation_samples else ""
        self._console.print(
            Text.assemble(
                (event.recipe, "bold"),
                f" on {event.backend} ({event.device}): {event.parameters:,} parameters{frozen}, "
                f"{event.train_samples:,} samples for training{held_out}, "
                f"{event.epochs} {'epoch' if event.epochs == 1 else 'epochs'} of {event.steps_per_epoch:,} steps"
                + (f", from step {event.step:,}" if event.step else ""),
            )
        )
        self._console.print(Text(event.directory, style="cyan"))

    def progress(self, event: events.Progress) -> None:
        """Say how far it is."""
        if not self._quiet:
            step = f"step {event.step_in_epoch:,}/{event.steps_per_epoch:,}"
            self._console.print(Text(f"{self._epoch_text(event.epoch)}  {step}  {self._rates(event)}"))

    def epoch(self, event: events.EpochEnded) -> None:
        """Say what an epoch brought."""
        self._last = time.monotonic()
        if self._quiet:
            return
        numbers = "  ".join(f"{k} {render.number(v)}" for k, v in render.outcomes(event.metrics).items())
        best = ("  best", "green") if event.best else ""
        text = f"{self._epoch_text(event.epoch)}  {numbers}  {render.duration(event.seconds)}"
        self._console.print(Text.assemble(text, best, (_waiting(event.metrics), "yellow")))

    def _epoch_text(self, epoch: int) -> str:
        total = self._start.epochs if self._start else epoch
        return f"epoch {epoch:>{len(str(total))}}/{total}"

    def _rates(self, event: events.Progress) -> str:
        speed = f"  {event.samples_per_s:,.0f} samples/s" if event.samples_per_s else ""  # not yet measured
        return f"loss {event.loss:.4f}  rate {event.learning_rate:.2e}{speed}  {self._eta(event)} left"

    def _eta(self, event: events.Progress) -> str:
        """Time to the last step at the pace since the start, validation and checkpoints included."""
        if self._start is None or event.step <= self._start.step:
            return "?"
        pace = (time.monotonic() - self._begun) / (event.step - self._start.step)
        left = self._start.epochs * self._start.steps_per_epoch - event.step
        return render.duration(max(left, 0) * pace)


def _waiting(metrics: Mapping[str, Any]) -> str:
    """What part of an epoch passed without a batch to train on, where it was much."""
    share = metrics.get("data_wait_seconds", 0.0) / (metrics.get("train_seconds") or 1.0)
    return f"  waits for data {share:.0%}" if share > _LONG_WAIT else ""


class Bar(Lines):
    """A bar for the epoch in progress, redrawn a few times a second by the event that brings news.

    No refresh thread: it would take turns with the training loop.
    """

    interval_s = _BAR_INTERVAL_S

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        columns: tuple[Any, ...] = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[numbers]}"),
        )
        self._bar = Progress(*columns, console=console, auto_refresh=False, transient=True, redirect_stdout=False)
        self._task = self._bar.add_task("", total=None, numbers="starting")

    def started(self, event: events.RunStarted) -> None:
        super().started(event)
        self._bar.start()

    def progress(self, event: events.Progress) -> None:
        self._bar.update(
            self._task,
            description=self._epoch_text(event.epoch),
            completed=event.step_in_epoch,
            total=event.steps_per_epoch,
            numbers=self._rates(event),
            refresh=True,
        )

    def waits(self) -> AbstractContextManager[Tell]:
        """Draws a wait for data: in this bar, or in one of its own before training has begun."""
        return nullcontext(self._wait) if self._bar.live.is_started else bar(False)

    def _wait(self, what: str, done: int, of: int | None, in_bytes: bool = False) -> None:
        self._bar.update(self._task, description=what, completed=done, total=of, numbers="", refresh=True)

    def close(self) -> None:
        self._bar.stop()
