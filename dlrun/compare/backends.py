"""One recipe on two backends: trains both from the same start and holds them to the promise."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.backends import BACKENDS
from dlrun.compare.cause import Cause, find_cause
from dlrun.compare.differences import Differences, differences
from dlrun.compare.job import Job
from dlrun.compare.process import run_job
from dlrun.compare.promise import Check, checks, default_steps, has_recurrent, noise_of
from dlrun.compare.recorder import Tell
from dlrun.compare.steps import Recording, Side
from dlrun.errors import DlrunError, DlrunErrors, Where

if TYPE_CHECKING:
    from dlrun.config import Composed
    from dlrun.graph import Graph

DTYPES = ("float64", "float32")
SEEDS = 5
"""Repetitions the noise is measured with unless said otherwise."""


@dataclass(frozen=True)
class Compared:
    """Two sides in one precision.

    Args:
        dtype: ``float64`` or ``float32``.
        found: What was measured.
        noise: The recipe's own noise up to each update, or None where it was not measured.
        checks: What is promised of these updates.
        cause: Where the difference starts if a promise is broken, else None.
    """

    dtype: str
    found: Differences
    noise: np.ndarray | None
    checks: list[Check]
    cause: Cause | None

    @property
    def holds(self) -> bool:
        """Whether every promise is kept."""
        return all(check.holds for check in self.checks)


@dataclass(frozen=True)
class Report:
    """A finished comparison.

    Args:
        composed: The recipe.
        overrides: Recipe and overrides as given.
        threads: CPU threads of each side.
        precisions: One entry per precision.
        speed: By backend, see ``dlrun.compare.speed.measure``; empty if it was not asked for.
        notes: What the reader should know.
    """

    composed: Composed
    overrides: tuple[str, ...]
    threads: int
    precisions: list[Compared]
    speed: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether every promise is kept."""
        return all(c.holds for c in self.precisions)


def compare_backends(
    overrides: Sequence[str],
    tell: Tell,
    *,
    config_dir: str | None = None,
    dtypes: Sequence[str] = DTYPES,
    steps: int | None = None,
    seeds: int = SEEDS,
    speed: bool = True,
) -> Report:
    """Train a recipe on both backends, each in its own process, and compare update by update.

    Args:
        overrides: ``recipe=…`` and further overrides.
        tell: Told how far it is.
        config_dir: The user's own folder of recipes and groups.
        dtypes: Precisions.
        steps: Updates; as many as the promise speaks of when left out.
        seeds: Repetitions that measure the recipe's own noise.
        speed: Whether speed and memory are measured, too.

    Raises:
        DlrunError: When the recipe is wrong. RunError: When a side fails.
    """
    composed = _checked(overrides, config_dir, dtypes)
    plan, threads = composed.plan, composed.recipe.device.threads or usable_threads()
    wanted = {dtype: min(steps or default_steps(dtype), plan.total_steps) for dtype in dtypes}
    speeds: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="dlrun-compare-") as temporary:
        for i, backend in enumerate(BACKENDS):
            folder = Path(temporary) / backend
            repeated = dict.fromkeys(dtypes, seeds) if i == 0 else {}
            same = (backend, tuple(overrides), config_dir, threads, str(folder))
            run_job(Job("record", *same, steps=wanted, seeds=repeated), _named(tell, backend))
            if speed:
                run_job(Job("speed", *same), _named(tell, backend))
                speeds[backend] = json.loads((folder / "speed.json").read_text())
        precisions = []
        for dtype in dtypes:
            a, b = (Recording(Path(temporary) / backend / dtype, backend) for backend in BACKENDS)
            precisions.append(judged(dtype, a, b, a.noise(), plan.graph))
    return Report(composed, tuple(overrides), threads, precisions, speeds, _notes(composed, wanted, steps, seeds))


def judged(dtype: str, a: Side, b: Side, repetitions: np.ndarray, graph: Graph) -> Compared:
    """Two sides measured and held to the promise.

    Args:
        dtype: Precision of both.
        a: The side that was repeated.
        b: The other one.
        repetitions: Losses of ``a`` from neighbouring weights (repetitions, updates).
        graph: The model of both.
    """
    found = differences(a, b)
    noise = noise_of(found.losses[0], repetitions)
    made = checks(dtype, found.loss, noise, has_recurrent(graph))
    past = [check.first_past for check in made if check.first_past is not None]
    cause = find_cause(found, dtype, min(past), [node.name for node in graph.nodes]) if past else None
    return Compared(dtype, found, noise, made, cause)


def usable_threads() -> int:
    """CPU threads this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _checked(overrides: Sequence[str], config_dir: str | None, dtypes: Sequence[str]) -> Composed:
    """The recipe, which must be right on both backends before either is started."""
    from dlrun.config import compose

    for key, instead in (("backend", "both are trained"), ("precision", "use `--dtype`")):
        said = [o for o in overrides if o.partition("=")[0] in (key, f"{key}.name")]
        if said:
            raise DlrunError(
                "contradiction",
                f"`{said[0]}` cannot stand in a comparison: {instead}.",
                hint="Leave it out.",
            )
    mistakes: list[DlrunError] = []
    composed: Composed | None = None
    for backend in BACKENDS:
        job = Job("record", backend, tuple(overrides), config_dir, usable_threads(), "")
        try:
            composed = composed or compose(overrides, config_dir=config_dir, check_installed=False)
            compose(job.words(dtypes[0]), config_dir=config_dir)
        except DlrunErrors as error:
            mistakes += [e for e in error.errors if str(e) not in map(str, mistakes)]
        except DlrunError as error:
            mistakes += [error] if str(error) not in map(str, mistakes) else []
    if composed is not None and composed.recipe.model.kind == "native":
        with composed.placing():
            raise _native()
    for mistake in mistakes:
        if mistake.code == "no-target":  # a target for the other backend would not make them comparable
            raise _native(mistake.where)
    if mistakes:
        raise DlrunErrors(mistakes)
    assert composed is not None
    return composed


def _native(where: Where | None = None) -> DlrunError:
    return DlrunError(
        "native-models",
        "a native model cannot be compared across backends: each framework's own model draws its own weights, under "
        "its own names.",
        path=("model",),
        where=where,
        hint="Compare a model of dlrun's layers; or two runs: dlrun compare RUN OTHER.",
    )


def _named(tell: Tell, backend: str) -> Tell:
    return lambda what, done, of: tell(f"{backend} {what}", done, of)


def _notes(composed: Composed, wanted: dict[str, int], steps: int | None, seeds: int) -> tuple[str, ...]:
    notes = list(composed.notes)
    recipe = composed.recipe
    if recipe.precision in ("bfloat16", "float16"):
        notes.append(
            f"`precision: {recipe.precision}` promises equal quality, not equal curves; speed is measured in it"
        )
    for dtype, n in wanted.items():
        if n < (steps or default_steps(dtype)):
            notes.append(f"the recipe has {n} updates in all, so {dtype} is compared over {n}")
        if n > default_steps(dtype):
            notes.append(f"nothing is promised in {dtype} after {default_steps(dtype)} updates; the rest is only shown")
    if seeds == 0:
        notes.append("the recipe's own noise was not measured, so no limit is widened by it")
    return tuple(dict.fromkeys(notes))
