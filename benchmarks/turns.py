"""Programs that take turns on one machine, so that what slows it slows all of them."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = {"TF_ENABLE_ONEDNN_OPTS": "1", **os.environ}
"""Of all programs that are timed: TensorFlow's faster kernels for rivals as for dlrun."""


def serve(run: Callable[[int], object], warm: Sequence[int]) -> None:
    """Be one program: for each amount on standard input, the seconds it took on standard output.

    Args:
        run: What is timed, given an amount.
        warm: Amounts to run first, untimed.
    """
    for amount in warm:
        run(amount)
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        run(int(line))
        print(time.perf_counter() - start, flush=True)


def take_turns(commands: Mapping[str, Sequence[str]], amount: int, turns: int, reverse: bool) -> dict[str, float]:
    """Median seconds of each program's turns, all of them fresh processes.

    Args:
        commands: The programs, which ``serve``.
        amount: Given to each in each turn.
        turns: How many.
        reverse: Whether the last one begins; it changes from turn to turn as well.
    """
    order = list(commands)[:: -1 if reverse else 1]
    running = {}
    for name in order:
        running[name] = subprocess.Popen(
            commands[name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=ENVIRONMENT
        )
        assert _line(running[name]) == "ready"
    took: dict[str, list[float]] = {name: [] for name in order}
    for turn in range(turns):
        for name in order if turn % 2 == 0 else order[::-1]:
            stdin = running[name].stdin
            assert stdin is not None
            print(amount, file=stdin, flush=True)
            took[name].append(float(_line(running[name])))
    for process in running.values():
        process.communicate()
    return {name: statistics.median(seconds) for name, seconds in took.items()}


def spread(values: Sequence[float]) -> str:
    """Median, lowest and highest, e.g. ``1.02 (0.97-1.10)``."""
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"{process.args} ended with exit code {process.wait()}")
    return line.strip()
