"""Evaluating a run or one of its checkpoints, on any backend."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import yaml

from dlrun.backends.base import Engine
from dlrun.data.feed import Feed, Part
from dlrun.data.source import Place
from dlrun.errors import DlrunError, DlrunErrors, did_you_mean
from dlrun.metrics.evaluation import Evaluation
from dlrun.plan import Plan
from dlrun.run import checkpoint
from dlrun.run.directory import RunDirectory, chosen_checkpoint, open_run


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
        metrics: ``{"loss": …, "accuracy": …}``.
    """

    run: Path
    checkpoint: Path
    split: str
    backend: str
    samples: int
    metrics: dict[str, Any]
    of: int


@dataclass(frozen=True)
class LoadedModel:
    """A trained model, ready for inference."""

    run: RunDirectory
    checkpoint: Path
    plan: Plan
    engine: Engine


def load_plan(target: Path, overrides: Sequence[str] = ()) -> tuple[RunDirectory, checkpoint.Checkpoint, Plan]:
    """The run at ``target``, its best (or the named) checkpoint, and its plan with ``overrides``.

    Raises:
        DlrunError: ``not-a-run`` and mistakes in overrides. RunError: ``checkpoint-corrupt``.
    """
    from dlrun.config import compose

    run = open_run(target)
    path = chosen_checkpoint(target) or run.default_checkpoint()
    plan = compose([f"recipe={run.recipe_file}", *overrides]).plan
    return run, checkpoint.load(path, training=False), plan


def load_model(target: Path, overrides: Sequence[str] = ()) -> LoadedModel:
    """The model of a run or checkpoint, on the backend the run used or an override names.

    Raises:
        As ``load_plan``; DlrunError ``checkpoint-mismatch`` when weights do not fit the model.
    """
    run, loaded, plan = load_plan(target, overrides)
    return LoadedModel(run, loaded.path, plan, _engine(loaded, plan))


def _engine(loaded: checkpoint.Checkpoint, plan: Plan) -> Engine:
    from dlrun.backends import load_backend

    engine = load_backend(plan.recipe.backend.name).compile(plan)
    engine.restore(loaded.engine)
    return engine


def evaluate(target: Path, *, split: str = "test", overrides: Sequence[str] = ()) -> EvalResult:
    """Loss and metrics of a run's best checkpoint, or of the checkpoint named.

    Args:
        target: Run directory or checkpoint folder.
        split: ``train``, ``validation`` or ``test``.
        overrides: Such as ``backend=tensorflow`` or ``data.eval_batch_size=100``.

    Raises:
        DlrunError: ``nothing-to-evaluate``, ``unknown-split``, ``split-changed``, and as ``load_model``.
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
    feed = Feed(plan, Place(plan.recipe.data.root, plan.recipe.data.download))
    if split != "test":
        _check_same_samples(run, loaded, plan, feed, split)
    metrics = evaluate_split(plan, _engine(loaded, plan), feed, cast(Part, split))
    samples, whole = counts[split]
    return EvalResult(run.path, loaded.path, split, plan.recipe.backend.name, samples, metrics, whole)


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


def evaluate_split(plan: Plan, engine: Engine, feed: Feed, split: Part) -> dict[str, Any]:
    """Loss and metrics of a split: ``{"loss": …, "accuracy": …}``."""
    return evaluate_batches(plan, engine, feed.eval_batches(split, plan.recipe.train.limit_batches))


def evaluate_batches(plan: Plan, engine: Engine, batches: Iterable[tuple[Any, np.ndarray]]) -> dict[str, Any]:
    """The same for batches of preprocessed or uploaded samples and their labels."""
    if not evaluates(plan):
        return {}
    loss = plan.recipe.loss
    answering = None if loss is None else loss.answering(plan.outputs[0])
    ignored = plan.signature.ignore_label if answering is None else answering.ignored
    evaluation = Evaluation(answering, plan.recipe.metrics, plan.signature.classes, ignored)
    for x, y in batches:
        evaluation.add(engine.infer(x), y)
    return evaluation.result()
