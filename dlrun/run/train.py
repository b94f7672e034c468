"""Starting a training, or going on with one."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dlrun import extensions
from dlrun.backends import load_backend
from dlrun.backends.base import Engine, EngineState
from dlrun.data.feed import Feed
from dlrun.data.locate import check_root
from dlrun.errors import DlrunError, RunError
from dlrun.files import write_json
from dlrun.plan import Plan
from dlrun.run import checkpoint, environment, fitted
from dlrun.run import resume as resuming
from dlrun.run.checkpoint import Position
from dlrun.run.directory import RunDirectory, create_run, open_run
from dlrun.run.ending import check_not_over
from dlrun.run.evaluate import evaluates
from dlrun.run.events import Listener
from dlrun.run.memory import check_memory, memory_errors
from dlrun.run.trainer import Trainer, TrainResult
from dlrun.weights.pretrained import start

if TYPE_CHECKING:
    from dlrun.config import Composed

__all__ = ["TrainResult", "train"]


def train(composed: Composed, listeners: Sequence[Listener] = (), *, resume: Path | None = None) -> TrainResult:
    """Train a recipe, or go on with a run.

    Args:
        composed: The recipe; for ``resume``, composed from the run's own ``recipe.yaml`` and overrides.
        listeners: Told what happens.
        resume: Run directory or checkpoint to go on from.

    Raises:
        DlrunError: When the recipe does not fit the machine, the data or the resumed run.
        RunError: When training fails: ``loss-not-finite``, ``out-of-memory``, ``disk-full``, ….
    """
    with composed.placing(), ExitStack() as stack, _disk_errors(), memory_errors():
        # a run may be continued where its files lie elsewhere
        if resume is None or composed.origins.get("data.root", "").startswith("command line"):
            check_root(composed.recipe.data.root)
        check_memory(composed.plan)
        trainer = _resumed(composed, resume, stack) if resume is not None else _fresh(composed, stack)
        trainer.listeners = tuple(listeners)
        return trainer.run_all()


def _fresh(composed: Composed, stack: ExitStack) -> Trainer:
    plan = composed.plan
    first = start(plan)
    feed = Feed(plan)
    _open_test(feed)
    plan = feed.fit()
    engine = _compile(plan)
    if first is not None:
        engine.restore(EngineState(first[0]))
    run = create_run(plan.recipe.output, plan.recipe.name, plan.recipe.backend.name)
    stack.enter_context(run.lock())
    fitted.write(run.fitted_file, plan)
    composed, kept = _with_files(composed, run)
    if first is not None:
        write_json(run.path / "weights.json", first[1].as_dict())
        kept += [f"weights: {line}" for line in first[1].lines()]
    return Trainer(composed, plan, run, engine, feed, Position(), (*composed.notes, *kept))


def _resumed(composed: Composed, path: Path, stack: ExitStack) -> Trainer:
    from dlrun.config import compose

    run = open_run(path)
    stack.enter_context(run.lock())
    chosen = resuming.choose(run, path)
    loaded = checkpoint.load(chosen)
    kept = fitted.read(run.fitted_file)
    known = None if kept is None else kept.signature
    before = compose([f"recipe={run.recipe_file}"], check_installed=False, known=known, read_data=False).values
    branches = resuming.branches(run, chosen)
    resuming.check_changes(before, composed.values, run, branches=branches)
    position, notes = loaded.position, list(composed.notes)
    check_not_over(composed.plan, position, run)
    plan = fitted.fit_by(resuming.with_threads(composed.plan, loaded.facts), kept)
    feed = Feed(plan)
    _check_same_data(loaded, feed, run)
    _open_test(feed)
    engine = _compile(plan)
    engine.restore(loaded.engine)
    changed = environment.differences(
        loaded.facts, environment.session(plan.recipe, engine, position.step, (), feed.fingerprint())
    )
    if changed:
        notes.append("not equal to the bit to an uninterrupted run, because of " + ", ".join(changed) + ".")
    target = run
    if branches:
        composed = dataclasses.replace(composed, values=resuming.renamed(before, composed.values))
        target, note = resuming.branch(run, chosen, plan, composed.values["output"]["name"])
        stack.enter_context(target.lock())
        notes.append(note)
    forgotten = resuming.bring_best(run, target, position)
    horizon = resuming.horizon_note(plan, loaded)
    notes += [note for note in (forgotten, horizon) if note is not None]
    target.rewind(position.step)
    position.finished = False
    composed, files = _with_files(composed, target)
    notes += files
    return Trainer(composed, plan, target, engine, feed, position, tuple(notes))


def _open_test(feed: Feed) -> None:
    """Open what is read at the end, too: a mistake there is to be told before hours of training."""
    if feed.size("test") and evaluates(feed.plan):
        feed.reader("test")


def _check_same_data(loaded: checkpoint.Checkpoint, feed: Feed, run: RunDirectory) -> None:
    """Refuse to go on with other training samples, some of which may have been held out before.

    Raises:
        DlrunError: ``data-changed``.
    """
    if loaded.facts.get("data") not in (None, feed.fingerprint()):
        raise DlrunError(
            "data-changed",
            f"`{feed.plan.recipe.data.source.kind}` does not hold the samples that `{run.path}` was trained on.",
            path=("data", "source"),
            hint=f"Put them back, or start a new run with its weights: 'model.weights={{file: {loaded.path}}}'",
        )


def _with_files(composed: Composed, run: RunDirectory) -> tuple[Composed, list[str]]:
    """The recipe as the run directory keeps it, with the Python files that it names, and notes on them."""
    names, notes = extensions.keep(composed.recipe.extensions, run.path)
    return dataclasses.replace(composed, values={**composed.values, "extensions": names}), notes


def _compile(plan: Plan) -> Engine:
    return load_backend(plan.recipe.backend.name).compile(plan)


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            raise
        raise RunError(
            "disk-full",
            f"`{error.filename or 'the run directory'}` cannot be written: {error.strerror}; training stopped.",
            hint="Checkpoints already written are whole: free some space, then dlrun train resume=<run directory>.",
        ) from None
