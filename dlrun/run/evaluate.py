"""Evaluating a run or one of its checkpoints, on any backend."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import yaml

from dlrun.backends.base import Engine
from dlrun.data.feed import Feed, Part
from dlrun.errors import DlrunError, DlrunErrors, did_you_mean
from dlrun.metrics.evaluation import Evaluation
from dlrun.plan import Plan
from dlrun.run import checkpoint, fitted
from dlrun.run.directory import RunDirectory, chosen_checkpoint, open_run
from dlrun.tasks.task import task_of


@dataclass(frozen=True)
class EvalResult:
    """Metrics of one checkpoint on one split.

    Args:
        run: The run directory.
        checkpoint: The checkpoint evaluated.
        split: ``train``, ``validation`` or ``test``.
        backend: The backend it ran on.
        samples: How many samples.
        of: How many the split has; more than ``samples`` under ``train.limit_batches``.
        metrics: ``{"loss": …, "accuracy": …}``; None where a metric has no value for these samples.
        undefined: Why it has none, by the metric's name.
        report: Files of the report, its page first; none unless it was asked for.
        file: What a user has predicted with such a run, by way of example.
    """

    run: Path
    checkpoint: Path
    split: str
    backend: str
    samples: int
    metrics: dict[str, Any]
    of: int
    undefined: dict[str, str] = field(default_factory=dict)
    report: tuple[Path, ...] = ()
    file: str = "image.png"


@dataclass(frozen=True)
class LoadedModel:
    """A trained model, ready for inference."""

    run: RunDirectory
    checkpoint: Path
    plan: Plan
    engine: Engine


def load_plan(
    target: Path, overrides: Sequence[str] = (), *, read_data: bool = True
) -> tuple[RunDirectory, checkpoint.Checkpoint, Plan]:
    """The run at ``target``, its best (or the named) checkpoint, and its plan with ``overrides``.

    Args:
        target: Run directory or checkpoint folder.
        overrides: Such as ``backend=tensorflow``.
        read_data: Whether the data is looked at; otherwise what the run found in it is enough.

    Raises:
        DlrunError: ``not-a-run``, ``not-fitted`` and mistakes in overrides. RunError: ``checkpoint-corrupt``,
            ``fitted-corrupt``.
    """
    from dlrun.config import compose

    run = open_run(target)
    path = chosen_checkpoint(target) or run.default_checkpoint()
    kept = fitted.read(run.fitted_file)
    known = None if kept is None else kept.signature
    plan = compose([f"recipe={run.recipe_file}", *overrides], known=known, read_data=read_data).plan
    return run, checkpoint.load(path, training=False), fitted.fit_by(plan, kept)


def load_model(target: Path, overrides: Sequence[str] = (), *, read_data: bool = True) -> LoadedModel:
    """The model of a run or checkpoint, on the backend the run used or an override names.

    Args:
        target: Run directory or checkpoint folder.
        overrides: Such as ``backend=tensorflow``.
        read_data: Whether the data is looked at.

    Raises:
        As ``load_plan``; DlrunError ``checkpoint-mismatch`` when weights do not fit the model.
    """
    run, loaded, plan = load_plan(target, overrides, read_data=read_data)
    return LoadedModel(run, loaded.path, plan, _engine(loaded, plan))


def _engine(loaded: checkpoint.Checkpoint, plan: Plan) -> Engine:
    from dlrun.backends import load_backend

    engine = load_backend(plan.recipe.backend.name).compile(plan)
    engine.restore(loaded.engine)
    return engine


def evaluate(target: Path, *, split: str = "test", overrides: Sequence[str] = (), report: bool = False) -> EvalResult:
    """Loss and metrics of a run's best checkpoint, or of the checkpoint named.

    Args:
        target: Run directory or checkpoint folder.
        split: ``train``, ``validation`` or ``test``.
        overrides: Such as ``backend=tensorflow`` or ``data.eval_batch_size=100``.
        report: Whether an error report is written to ``<run>/eval/<split>-<checkpoint>/``.

    Raises:
        DlrunError: ``nothing-to-evaluate``, ``unknown-split``, ``split-changed``, and as ``load_model``. RunError:
            ``cannot-write``.
    """
    run, loaded, plan = load_plan(target, overrides)
    if not evaluates(plan):
        raise DlrunError(
            "nothing-to-evaluate",
            f"`{run.path}` was trained by `train.phases` and has no `metrics`, so that nothing compares its answers.",
            hint=f"Its losses are in `{run.metrics_file}`, its pictures in `{run.samples_folder}`.",
        )
    counts = {name: samples_of(plan, name) for name in ("train", "validation", "test")}
    present = [name for name, (_, whole) in counts.items() if whole]
    if split not in present:
        raise DlrunError("unknown-split", f"`{split}` is not a split of this data.", hint=did_you_mean(split, present))
    feed = Feed(plan)
    if split != "test":
        _check_same_samples(run, loaded, plan, feed, split)
    samples, whole = counts[split]
    part, path = cast(Part, split), loaded.path
    facts = {
        "run": str(run.path),
        "checkpoint": path.name,
        "split": split,
        "backend": plan.recipe.backend.name,
        "samples": samples,
        "of": whole,
    }
    files: list[Path] = []
    with contextlib.ExitStack() as stack:
        watch = None
        if report:
            from dlrun.report.write import Report

            folder = run.path / "eval" / f"{split}-{path.name}"
            watch = stack.enter_context(Report(folder, plan, feed, part, _ignored(plan)))
        metrics = evaluate_split(plan, _engine(loaded, plan), feed, part, None if watch is None else watch.add)
        undefined = _undefined(plan, metrics)
        if watch is not None:
            files = watch.finish(facts, metrics, undefined)
    backend, task = plan.recipe.backend.name, task_of(plan.recipe.task)
    file = task.file if task.answers(plan.signature) else ""
    return EvalResult(run.path, path, split, backend, samples, metrics, whole, undefined, tuple(files), file)


def _undefined(plan: Plan, metrics: dict[str, Any]) -> dict[str, str]:
    """Why metrics have no value, by name."""
    return {
        name: metric.undefined
        for metric in plan.recipe.metrics
        for name in metric.names()
        if name in metrics and metrics[name] is None
    }


def samples_of(plan: Plan, split: str) -> tuple[int, int]:
    """How many samples of a split are evaluated, and how many it has; fewer under ``train.limit_batches``."""
    sizes = {"train": plan.train_samples, "validation": plan.validation_samples}
    whole = sizes[split] if split in sizes else plan.signature.sizes.get(split, 0)
    limit = plan.recipe.train.limit_batches
    return whole if limit is None else min(whole, limit * plan.recipe.data.eval_batch_size), whole


def _check_same_samples(run: RunDirectory, loaded: checkpoint.Checkpoint, plan: Plan, feed: Feed, split: str) -> None:
    """Refuse to take other samples for those that the run trained on, or held out.

    Raises:
        DlrunErrors: ``split-changed``.
    """
    recorded = yaml.safe_load(run.recipe_file.read_text(encoding="utf-8"))
    before = {"seed": recorded.get("seed"), "data.validation": recorded.get("data", {}).get("validation")}
    now = {"seed": plan.recipe.seed, "data.validation": plan.recipe.data.validation}
    rule = f"`split={split}` would mix samples that were trained on with held-out ones"
    found = [
        f"`{key}` is `{now[key]}`, but was `{was}` in the run: {rule}."
        for key, was in before.items()
        if was is not None and was != now[key]
    ]
    if not found and loaded.facts.get("data") not in (None, feed.fingerprint()):
        found = [f"`{plan.recipe.data.source.kind}` does not hold the samples that the run was trained on: {rule}."]
    if found:
        hint = "Leave it as it was; other samples are evaluated as `split=test`."
        raise DlrunErrors([DlrunError("split-changed", text, hint=hint) for text in found])


def evaluates(plan: Plan) -> bool:
    """Whether there is anything to say of the model's answers."""
    return plan.recipe.loss is not None or bool(plan.recipe.metrics)


Watch = Callable[[np.ndarray, np.ndarray], None]
"""Gets the model's outputs (N, *) for each batch, and its labels (N, *target)."""


def evaluate_split(plan: Plan, engine: Engine, feed: Feed, split: Part, watch: Watch | None = None) -> dict[str, Any]:
    """Loss and metrics of a split: ``{"loss": …, "accuracy": …}``."""
    return evaluate_batches(plan, engine, feed.eval_batches(split, plan.recipe.train.limit_batches), watch)


def evaluate_batches(
    plan: Plan, engine: Engine, batches: Iterable[tuple[Any, np.ndarray]], watch: Watch | None = None
) -> dict[str, Any]:
    """The same for batches of preprocessed or uploaded samples and their labels."""
    if not evaluates(plan):
        return {}
    loss = plan.recipe.loss
    answering = None if loss is None else loss.answering(plan.outputs[0])
    evaluation = Evaluation(answering, plan.recipe.metrics, plan.signature.classes, _ignored(plan))
    for x, y in batches:
        output = engine.infer(x)
        evaluation.add(output, y)
        if watch is not None:
            watch(output, y)
    return evaluation.result()


def _ignored(plan: Plan) -> int | None:
    """The class id of places that no metric counts, or None."""
    loss = plan.recipe.loss
    return plan.signature.ignore_label if loss is None else loss.answering(plan.outputs[0]).ignored
