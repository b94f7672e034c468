"""What must hold between the sections of a recipe, its data and its model; each rule says what it reads."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from dlrun.data.checks import check_data
from dlrun.data.source import Signature
from dlrun.errors import DlrunError, DlrunErrors, Path
from dlrun.graph import Graph, TensorType
from dlrun.graph.batch import smallest_batch
from dlrun.graph.graph import INPUT
from dlrun.phases import check_phases
from dlrun.recipe import Recipe
from dlrun.tasks.task import task_of

T = TypeVar("T")


@dataclass(frozen=True)
class Facts:
    """A recipe, and what is known of its data and model.

    Args:
        recipe: The typed recipe.
        signature: Of the data as stored, or None.
        graph: The model's, or None.
    """

    recipe: Recipe
    signature: Signature | None
    graph: Graph | None

    @property
    def data_read(self) -> Signature:
        """The signature, for rules that read it."""
        return _there(self.signature)

    @property
    def model_built(self) -> Graph:
        """The graph, for rules that read it."""
        return _there(self.graph)

    @property
    def samples(self) -> int:
        """Of the training split, before any are held out."""
        return self.data_read.sizes.get("train", 0)

    @cached_property
    def asked(self) -> int:
        """How many samples the recipe wants to hold out."""
        validation = self.recipe.data.validation
        return validation if isinstance(validation, int) else round(validation * self.samples)

    @property
    def held(self) -> int:
        """Samples held out for validation; none where that would leave no others."""
        return self.asked if self.asked < self.samples else 0

    @property
    def train(self) -> int:
        """Samples left for training."""
        return self.samples - self.held

    @property
    def steps(self) -> int:
        """Updates of an epoch."""
        batches = self.train / self.recipe.data.batch_size
        steps = math.floor(batches) if self.recipe.data.last_batch == "drop" else math.ceil(batches)
        limit = self.recipe.train.limit_batches
        return steps if limit is None else min(steps, limit)

    @property
    def outputs(self) -> dict[str, TensorType]:
        """Types of the model's outputs by name, its answer first."""
        graph = self.model_built
        return dict(zip(self.recipe.model.outputs or graph.outputs, graph.output_types, strict=True))


def _there(fact: T | None) -> T:
    assert fact is not None, "a rule reads what it does not say"
    return fact


Rule = Callable[[Facts], Iterable[DlrunError]]
_RULES: list[tuple[tuple[Path, ...], Rule]] = []


def _reads(*keys: str) -> Callable[[Rule], Rule]:
    """Register a rule with the keys of the recipe that it reads, ``signature`` and ``graph`` among them."""

    def register(rule: Rule) -> Rule:
        _RULES.append((tuple(tuple(key.split(".")) for key in keys), rule))
        return rule

    return register


def inconsistencies(facts: Facts, unread: Collection[Path] = ()) -> list[DlrunError]:
    """The mistakes that rules find, of those that read nothing of ``unread``."""
    beside = {("signature",): facts.signature, ("graph",): facts.graph}
    missing = {*unread, *(path for path, fact in beside.items() if fact is None)}

    def known(key: Path) -> bool:
        return not any(key[: len(path)] == path or path[: len(key)] == key for path in missing)

    if known(("signature",)) and known(("task",)):
        missing |= _brought_by_wrong_task(facts)
    return [error for keys, rule in _RULES if all(map(known, keys)) for error in rule(facts)]


@_reads("signature")
def _samples(facts: Facts) -> Iterator[DlrunError]:
    if facts.samples == 0:
        yield DlrunError("empty-data", "the training split has no samples.", path=("data", "source"))


@_reads("signature", "data.validation")
def _validation(facts: Facts) -> Iterator[DlrunError]:
    if 0 < facts.samples <= facts.asked:
        yield DlrunError(
            "validation-too-large",
            f"`{facts.recipe.data.validation}` samples for validation leave none of {facts.samples} for training.",
            path=("data", "validation"),
            hint="Use a smaller count, or a share below 1 such as 0.1.",
        )


@_reads("signature", "data.sampling")
def _data(facts: Facts) -> Iterator[DlrunError]:
    yield from check_data(facts.recipe.data, facts.data_read)


@_reads("signature", "graph")
def _ids(facts: Facts) -> Iterator[DlrunError]:
    """What frameworks do with an id beyond a table differs: an error, zeros, or the last row."""
    graph, ids = facts.model_built, facts.data_read.vocabulary
    for node in graph.nodes:
        if ids is None or node.layer.kind != "embedding" or node.inputs != (INPUT,):
            continue
        (table,) = node.weights or node.shared
        if ids > table.shape[0]:
            yield DlrunError(
                "id-out-of-range",
                f"the data has ids up to {ids - 1:,}, but `{node.name}` has vectors for 0 to {table.shape[0] - 1:,}.",
                path=(*node.path, "vocabulary"),
                hint='Write `vocabulary: "${data.vocabulary}"`.',
            )


@_reads("signature", "task")
def _labels(facts: Facts) -> Iterator[DlrunError]:
    yield from task_of(facts.recipe.task).check_labels(facts.data_read)


@_reads("signature", "graph", "task")
def _task(facts: Facts) -> Iterator[DlrunError]:
    graph, task = facts.model_built, task_of(facts.recipe.task)
    if not task.check_labels(facts.data_read):  # said above, and the one task to use instead
        yield from task.check(dataclasses.replace(facts.data_read, input=graph.input), graph.output)


def _brought_by_wrong_task(facts: Facts) -> set[Path]:
    """Loss and metrics of a task for other labels than the data's; the task is the mistake, not they."""
    task, loss = task_of(facts.recipe.task), facts.recipe.loss
    if not task.check_labels(facts.data_read):
        return set()
    brought: set[Path] = {("loss",)} if loss is not None and loss.kind == task.default_loss else set()
    kinds = tuple(metric.kind for metric in facts.recipe.metrics)
    return brought | ({("metrics",)} if kinds == task.default_metrics else set())


@_reads("signature", "graph", "model", "task", "loss", "optimizer", "train.phases")
def _phases(facts: Facts) -> Iterator[DlrunError]:
    signature = facts.data_read
    if facts.recipe.train.phases:
        yield from check_phases(facts.recipe, facts.model_built, facts.outputs, signature.target, signature.classes)


@_reads("signature", "graph", "task", "loss", "train.phases")
def _loss(facts: Facts) -> Iterator[DlrunError]:
    """What is wrong with what training minimises, where it is one loss."""
    recipe, signature, outputs = facts.recipe, facts.data_read, facts.outputs
    if recipe.train.phases:
        return
    if recipe.loss is None:
        yield DlrunError(
            "missing-key",
            f"`{recipe.task}` has no loss of its own, and the recipe says none.",
            path=("loss",),
            hint="Write `loss`, or `train.phases` with a loss for each part of the model.",
        )
        return
    label = signature.ignore_label
    if label is not None and signature.classes is not None and recipe.loss.ignored != label:
        yield DlrunError(
            "label-not-ignored",
            f"the data's label `{label}` belongs to no class, and `{recipe.loss.kind}` would read it.",
            path=("loss",),
            hint=f"Use a loss with `ignore_index: {label}`, such as `softmax_cross_entropy`.",
        )
        return
    mixing = next((i for i, a in enumerate(recipe.data.augment) if a.mixes), None)
    try:
        recipe.loss.check_outputs(outputs, signature.target, signature.classes)
        if mixing is not None and signature.classes is not None:
            try:
                recipe.loss.check_outputs(outputs, TensorType((signature.classes,)), signature.classes)
            except DlrunError as error:
                kind = recipe.data.augment[mixing].kind
                error.path = ("data", "augment", mixing, kind)
                error.hint = f"`{kind}` gives each sample shares of classes; `softmax_cross_entropy` reads them."
                raise
    except DlrunErrors as several:
        yield from several.errors
    except DlrunError as error:
        if error.path == ("model",) and len(outputs) == 1:  # a misfit of the answer is its last layer's
            graph = facts.model_built
            error.path = next(node.path for node in graph.nodes if node.name == graph.outputs[0])
        yield error


@_reads("signature", "metrics")
def _metrics(facts: Facts) -> Iterator[DlrunError]:
    for i, metric in enumerate(facts.recipe.metrics):
        try:
            metric.check(facts.data_read.classes)
        except DlrunError as error:
            error.path = ("metrics", i, *error.path[1:])
            yield error


@_reads("signature", "graph", "model", "metrics", "loss", "train.phases")
def _metric_outputs(facts: Facts) -> Iterator[DlrunError]:
    """Metrics that read other answers than the loss; where the loss reads no such answer, that is said of it alone."""
    signature, output, loss = facts.data_read, facts.model_built.output, facts.recipe.loss
    try:
        if loss is not None:
            loss.check_outputs(facts.outputs, signature.target, signature.classes)
    except DlrunError:
        return
    for i, metric in enumerate(facts.recipe.metrics):
        try:
            metric.check(signature.classes)
        except DlrunError:
            continue  # said above
        try:
            if loss is not None and loss.output_is:
                raise metric.misfit("compares outputs with labels", f"{loss.output_is} (`{loss.kind}`)")
            metric.check_output(output, signature.target, signature.classes)
        except DlrunError as error:
            error.path = ("metrics", i, *error.path[1:])
            yield error


@_reads("signature", "data.batch_size", "data.validation")
def _batch(facts: Facts) -> Iterator[DlrunError]:
    size, samples = facts.recipe.data.batch_size, facts.train
    if samples and size > samples:
        yield DlrunError(
            "batch-too-large",
            f"a batch of `{size}` is larger than the {samples} training samples.",
            path=("data", "batch_size"),
            hint=f"Use at most {samples}.",
        )


@_reads("data.batch_size", "train.micro_batches")
def _micro_batches(facts: Facts) -> Iterator[DlrunError]:
    size, parts = facts.recipe.data.batch_size, facts.recipe.train.micro_batches
    if parts > size:
        yield DlrunError(
            "micro-batches-too-many",
            f"a batch of {size} cannot be split into `{parts}` parts.",
            path=("train", "micro_batches"),
        )


@_reads("signature", "data.validation", "train.early_stopping")
def _early_stopping(facts: Facts) -> Iterator[DlrunError]:
    if facts.recipe.train.early_stopping is not None and facts.asked == 0:
        yield DlrunError(
            "contradiction",
            "`train.early_stopping` needs validation samples; "
            f"`data.validation: {facts.recipe.data.validation}` gives none.",
            path=("train", "early_stopping"),
            hint="Set `data.validation: 0.1`, or remove `early_stopping`.",
        )


@_reads("loss", "metrics", "schedule", "train.early_stopping", "train.monitor", "train.phases")
def _nothing_to_watch(facts: Facts) -> Iterator[DlrunError]:
    train = facts.recipe.train
    if facts.recipe.loss is not None or facts.recipe.metrics:
        return
    for watching, path in (
        (train.early_stopping is not None, ("train", "early_stopping")),
        (facts.recipe.schedule.watches, ("schedule", "name")),
        (train.monitor is not None, ("train", "monitor")),
    ):
        if watching:
            yield DlrunError(
                "contradiction",
                f"`{'.'.join(path)}` has nothing to watch: with `train.phases` and no `metrics`, nothing is evaluated.",
                path=path,
                hint="Remove it.",
            )


@_reads("signature", "data.validation", "schedule")
def _watching_schedule(facts: Facts) -> Iterator[DlrunError]:
    if facts.recipe.schedule.watches and facts.asked == 0:
        yield DlrunError(
            "contradiction",
            f"schedule `{facts.recipe.schedule.kind}` needs validation samples; "
            f"`data.validation: {facts.recipe.data.validation}` gives none.",
            path=("schedule", "name"),
            hint="Set `data.validation: 0.1`, or choose another schedule.",
        )


@_reads("backend")
def _compiled(facts: Facts) -> Iterator[DlrunError]:
    if facts.recipe.backend.compile and facts.recipe.backend.eager:
        yield DlrunError(
            "contradiction",
            "`backend.compile` and `backend.eager` exclude each other.",
            path=("backend", "eager"),
            hint="Set one of them to false.",
        )


@_reads("train.monitor", "metrics", "loss")
def _monitor(facts: Facts) -> Iterator[DlrunError]:
    names, monitor = monitor_names(facts.recipe), facts.recipe.train.monitor
    if monitor is not None and names and monitor not in names:
        yield DlrunError(
            "unknown-monitor",
            f"`{monitor}` is not reported by this recipe.",
            path=("train", "monitor"),
            hint="Valid: " + ", ".join(f"`{n}`" for n in names) + ".",
        )


_LENGTH = ("signature", "data.batch_size", "data.validation", "data.last_batch", "train.limit_batches")


@_reads("graph", "train.micro_batches", *_LENGTH)
def _last_batch(facts: Facts) -> Iterator[DlrunError]:
    """The last batch of an epoch is the smallest, where the epoch is not cut short before it."""
    size, parts = facts.recipe.data.batch_size, facts.recipe.train.micro_batches
    if parts <= size <= facts.train:  # anything else is wrong in itself
        try:
            smallest_batch(facts.model_built, parts).check(min(size, facts.train - (facts.steps - 1) * size))
        except DlrunError as error:
            yield error


@_reads("schedule", "train.epochs", *_LENGTH)
def _warmup(facts: Facts) -> Iterator[DlrunError]:
    """Warm-up ends within the run; one cut short by ``train.limit_batches`` (a dry run) need not get there."""
    schedule, updates = facts.recipe.schedule, facts.steps * facts.recipe.train.epochs
    if facts.recipe.train.limit_batches is None and 0 < updates <= schedule.warmup_steps:
        yield DlrunError(
            "warmup-too-long",
            f"`{schedule.warmup_steps}` updates of warm-up leave none of the run's {updates:,} for schedule "
            f"`{schedule.kind}`.",
            path=("schedule", "warmup_steps"),
            hint=f"Use less than {updates:,}, or train for more epochs.",
        )


def monitor_names(recipe: Recipe) -> tuple[str, ...]:
    """Scalars that can pick the best checkpoint."""
    names = tuple(name for metric in recipe.metrics for name in metric.names())
    return names if recipe.loss is None else (*names, "loss")
