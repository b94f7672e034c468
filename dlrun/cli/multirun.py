"""``dlrun train -m``: every job of a sweep is a process of its own, the same as its command alone."""

from __future__ import annotations

import json
import math
import os
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

import typer

from dlrun.cli import render
from dlrun.cli.arguments import carried
from dlrun.errors import RunError

_done: list[dict[str, Any]] = []
"""Jobs ended in this process: what is left to report of a sweep that is interrupted."""


def run_job(number: int, overrides: Sequence[str], folder: Path, *, flags: Sequence[str]) -> dict[str, Any]:
    """Train one combination and return how it went.

    A process of its own imports only its own backend and starts from the same state as the command alone.

    Args:
        number: The job's number in the sweep.
        overrides: Its overrides.
        folder: The sweep's folder; the run goes below it.
        flags: Further flags of ``dlrun train``.
    """
    alone = [*overrides, *(flag for flag in flags if flag != "--quiet")]
    render.note(f"job {number}: dlrun train {shlex.join(alone)}", style="bold")
    words = [*flags, *overrides, *_placed(overrides, folder)]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as answer:  # a pipe could fill up
        job = subprocess.Popen(
            [sys.executable, "-m", "dlrun", "train", "--json", *words],
            stdin=subprocess.DEVNULL,
            stdout=answer,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            process_group=0,  # Ctrl-C reaches the sweep alone, which passes it on once
        )
        assert job.stderr is not None
        try:
            _pass_on(job.stderr, number)
            code = job.wait()
        except BaseException as stop:
            _stop(job, number, signal.SIGINT if isinstance(stop, KeyboardInterrupt) else signal.SIGTERM)
            raise
        answer.seek(0)
        result = {"job": number, "overrides": list(overrides), "exit_code": code, **_answer(answer.read())}
    _done.append({**result, "folder": str(folder)})
    return _done[-1]


def _placed(overrides: Sequence[str], folder: Path) -> list[str]:
    """The run's folder within the sweep's, unless the user chose one."""
    own = {o.partition("=")[0].lstrip("+") for o in overrides}
    if own & {"output", "output.root"}:
        return []
    root = os.path.relpath(folder)
    quoted = str(folder if root.startswith("..") else root).replace("\\", "\\\\").replace("'", "\\'")
    return [f"output.root='{quoted}'"]


def _pass_on(stream: IO[str], number: int) -> None:
    for text in stream:
        sys.stderr.write(f"[{number}] {text}")
        sys.stderr.flush()


def _stop(job: subprocess.Popen[str], number: int, how: signal.Signals) -> None:
    """Let the job save and end; a second Ctrl-C is passed on as well."""
    assert job.stderr is not None
    while True:
        job.send_signal(how)
        try:
            _pass_on(job.stderr, number)
            job.wait()
            return
        except KeyboardInterrupt:
            how = signal.SIGINT


def _answer(out: str) -> dict[str, Any]:
    """What the job reported; a job that was killed reports nothing."""
    empty: dict[str, Any] = {"directory": None, "metrics": {}, "monitor": None, "reason": None, "errors": []}
    try:
        answer = json.loads(out)
    except ValueError:
        return empty
    return {**empty, **{k: answer[k] for k in empty if k in answer}}


def sweep(words: list[str], *, config_dir: str | None, smoke: bool, quiet: bool, json: bool) -> None:
    """Run every combination, draw the jobs best first, write ``sweep.json``; exit with 1 if one failed."""
    from dlrun.config import multirun

    kept = carried(config_dir, smoke=smoke)
    flags = [*kept, *(["--quiet"] if quiet else [])]
    _done.clear()
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        jobs = multirun(words, partial(run_job, flags=flags), config_dir=config_dir, smoke=smoke) or _done
    except (KeyboardInterrupt, SystemExit):
        if _done:
            _report(_done, words, kept, json)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
    if not jobs:
        raise RunError("no-results", "the sweeper ended without reporting any job.", hint="Their runs are in outputs.")
    _report(jobs, words, kept, json)
    if any(job["exit_code"] for job in jobs):
        raise typer.Exit(1)


def _terminated(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def best_first(jobs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Jobs by their monitored value; those without one come last, in the order run."""

    def key(job: dict[str, Any]) -> tuple[bool, float]:
        monitor = job["monitor"]
        if job["exit_code"] or monitor is None or monitor["value"] is None:
            return True, 0.0
        return False, -monitor["value"] if monitor["better"] == "higher" else monitor["value"]

    return sorted(jobs, key=key)


def over_seed(jobs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and sample standard deviation of each metric, for jobs that differ in their seed alone."""
    groups: dict[tuple[str, ...], dict[str, dict[str, float]]] = {}
    for job in sorted(jobs, key=lambda job: int(job["job"])):
        seeds = [o.partition("=")[2] for o in job["overrides"] if _is_seed(o)]
        if seeds and not job["exit_code"]:
            others = tuple(o for o in job["overrides"] if not _is_seed(o))
            groups.setdefault(others, {})[seeds[-1]] = render.outcomes(job["metrics"])
    found = []
    for others, by_seed in groups.items():
        if len(by_seed) < 2:
            continue
        metrics = {}
        for name in dict.fromkeys(n for outcome in by_seed.values() for n in outcome):
            values = [outcome.get(name, math.nan) for outcome in by_seed.values()]
            if all(map(math.isfinite, values)):
                metrics[name] = {"mean": statistics.mean(values), "std": statistics.stdev(values)}
        found.append({"overrides": list(others), "seeds": list(by_seed), "metrics": metrics})
    return found


def _is_seed(override: str) -> bool:
    return override.partition("=")[0].lstrip("+") == "seed"


def _draw_over_seed(groups: Sequence[dict[str, Any]], same: set[str], names: Sequence[str]) -> None:
    rows = []
    for group in groups:
        cells = [group["metrics"].get(n) for n in names]
        spread = [f"{render.number(c['mean'])} ± {render.number(c['std'])}" if c else "" for c in cells]
        which = " ".join(o for o in group["overrides"] if o not in same)
        rows.append([f"{which}  {len(group['seeds'])} seeds".strip(), *spread])
    render.line()
    render.table(("over seed", *names), rows, right=names)
    render.line()


def _report(jobs: Sequence[dict[str, Any]], words: Sequence[str], flags: Sequence[str], as_json: bool) -> None:
    folder = Path(jobs[0]["folder"])
    shown = os.path.relpath(folder)
    ranked = best_first([{k: v for k, v in job.items() if k != "folder"} for job in jobs])
    place = str(folder) if shown.startswith("..") else shown
    groups = over_seed(ranked)
    summary = {
        "directory": place,
        "overrides": list(words),
        "flags": list(flags),
        "jobs": ranked,
        "over_seed": groups,
    }
    _write(folder / "sweep.json", summary)
    if as_json:
        render.print_json(summary)
        return
    same = set.intersection(*(set(job["overrides"]) for job in ranked)) if len(ranked) > 1 else set()
    names = list(dict.fromkeys(n for job in ranked for n in render.outcomes(job["metrics"])))
    rows = [
        [
            job["job"],
            " ".join(o for o in job["overrides"] if o not in same),
            *(job["metrics"].get(n) for n in names),
            "done" if job["exit_code"] == 0 else f"exit {job['exit_code']}",
            job["directory"] and os.path.relpath(job["directory"], place),
        ]
        for job in ranked
    ]
    render.table(("job", "overrides", *names, "state", "run"), rows, right=("job", *names))
    if groups:
        _draw_over_seed(groups, same, names)
    monitor = next((job["monitor"] for job in ranked if job["monitor"]), None)
    by = f", best {monitor['name']} first" if monitor else ""
    render.line(f"{len(jobs)} jobs{by}: {place}/sweep.json")
    best = ranked[0]["directory"]
    if best and not ranked[0]["exit_code"]:
        render.next_steps(
            [
                (f"dlrun eval {shlex.quote(best)}", "the best job on the test split"),
                (f"dlrun export {shlex.quote(best)} format=onnx", "write it as a file that needs no dlrun"),
            ]
        )


def _write(path: Path, summary: dict[str, Any]) -> None:
    from dlrun.files import as_json, write_json

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, as_json(summary))
    except OSError as error:
        raise RunError("cannot-write", f"`{path}` cannot be written: {error.strerror}.") from None
