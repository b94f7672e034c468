"""From a typed recipe to a plan: data signature, shapes, and every check that needs both."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, TypeVar

from dlrun.data.checks import check_data, seen, split_sizes
from dlrun.data.remote import fetch_files
from dlrun.data.source import Place, Signature
from dlrun.errors import DlrunError, DlrunErrors
from dlrun.graph import Graph, Layer, LayerList, Model, TensorType, draft_mistakes
from dlrun.graph import build_model as build
from dlrun.graph.batch import smallest_batch
from dlrun.graph.own import missing_forms
from dlrun.graph.pretrained import Pretrained
from dlrun.layers.linear import Dense
from dlrun.models.native import Native, for_backend, native_graph
from dlrun.models.tokens import Tokens
from dlrun.phases import check_phases
from dlrun.plan import Plan
from dlrun.recipe import Data, Recipe
from dlrun.tasks.task import task_of
from dlrun.update import ruled


def signature_of(data: Data, known: Signature | None = None) -> Signature:
    """What is known of the recipe's data without loading it.

    Args:
        data: The recipe's section.
        known: What a run found in its training data.

    Raises:
        DlrunError: When files are there but wrong, or missing and not fetchable.
    """
    try:
        fetched = fetch_files(data.files, data.root, data.download)
        signature = data.source.signature(Place(fetched.root, data.download, known))
        return dataclasses.replace(signature, notes=(*fetched.notes, *signature.notes))
    except DlrunError as error:
        error.path = error.path or ("data", "source")
        raise


def build_model(model: Model, signature: Signature, task: str) -> Graph:
    """The model's graph, what the recipe leaves to the data (the classifier's width, the vocabulary) filled in.

    Raises:
        DlrunErrors: Every mistake found, each with its place.
    """
    if isinstance(model, Tokens) and model.vocabulary is None:
        counted: dict[str, Any] = {"vocabulary": signature.vocabulary}
        model = dataclasses.replace(model, **counted)
    if isinstance(model, Native):
        return native_graph(model, signature.input, signature.target, signature.classes)
    return build(_widened(model, signature, task), signature.input, signature.classes)


def mistakes_in_draft(model: LayerList, signature: Signature, task: str) -> list[DlrunError]:
    """What is wrong with the wiring of a model of which not every field could be read.

    Raises:
        DlrunError: Where nothing can be wired at all.
    """
    return draft_mistakes(_widened(model, signature, task), signature.input)


M = TypeVar("M", bound=Model)


def _widened(model: M, signature: Signature, task: str) -> M:
    """The model with a last layer as wide as the task wants it."""
    width = task_of(task).width(signature)
    if isinstance(model, LayerList) and model.layers and width is not None:
        filled: dict[str, Any] = {"layers": (*model.layers[:-1], _with_width(model.layers[-1], width))}
        return dataclasses.replace(model, **filled)
    return model


def _with_width(layer: Layer, width: int) -> Layer:
    if isinstance(layer, Dense) and layer.units is None:
        filled: dict[str, Any] = {"units": width}
        return dataclasses.replace(layer, **filled)
    return layer


def resolve(recipe: Recipe, signature: Signature | None = None, graph: Graph | None = None) -> Plan:
    """Check everything that needs more than one section, and put the plan together.

    Args:
        recipe: The typed recipe.
        signature: Result of ``signature_of``, if it was called already.
        graph: Result of ``build_model``, if it was called already.

    Raises:
        DlrunErrors: Every mistake found.
    """
    errors: list[DlrunError] = []
    signature = signature or signature_of(recipe.data)
    graph = graph or build_model(recipe.model, _seen(recipe.data, signature), recipe.task)
    if isinstance(recipe.model, Native):
        graph, wrong = for_backend(graph, recipe.model, recipe.backend.name, recipe.seed)
    else:
        graph, wrong = ruled(recipe, graph)
        wrong += missing_forms(graph, recipe.backend.name)
        wrong += _wrong_weights(recipe.model.weights, graph)
    errors += wrong
    train, validation = split_sizes(recipe.data, signature, errors)
    check_data(recipe.data, signature, errors)
    errors += task_of(recipe.task).check(dataclasses.replace(signature, input=graph.input), graph.output)
    outputs = dict(zip(recipe.model.outputs or graph.outputs, graph.output_types, strict=True))
    errors += _minimised(recipe, graph, outputs, signature)
    for i, metric in enumerate(recipe.metrics):
        try:
            metric.check(signature.classes)
        except DlrunError as error:
            error.path = ("metrics", i, *error.path[1:])
            errors.append(error)
    _check_train(recipe, train, validation, errors)
    batches = train / recipe.data.batch_size
    steps = math.floor(batches) if recipe.data.last_batch == "drop" else math.ceil(batches)
    if recipe.train.limit_batches is not None:
        steps = min(steps, recipe.train.limit_batches)
    _check_batches(recipe, graph, train, steps, errors)
    _check_warmup(recipe, steps * recipe.train.epochs, errors)
    if errors:
        raise DlrunErrors(errors)
    return Plan(recipe, signature, graph, train, validation, steps)


def _seen(data: Data, signature: Signature) -> Signature:
    try:
        return seen(data, signature)
    except DlrunError as error:
        raise DlrunErrors([error]) from None


def _wrong_weights(wanted: Pretrained | None, graph: Graph) -> list[DlrunError]:
    """What is wrong with the names of `model.weights`, as far as they tell without the file."""
    if wanted is None:
        return []
    from dlrun.weights.matching import check_wanted  # a recipe without `weights` need not wait for it

    found: list[DlrunError] = []
    for naming, skip in (("auto", wanted.skip), (wanted.map, ())):
        try:
            check_wanted(graph, naming, skip)
        except DlrunErrors as several:
            found += several.errors
        except DlrunError as error:
            found.append(error)
    return found


def _minimised(
    recipe: Recipe, graph: Graph, outputs: Mapping[str, TensorType], signature: Signature
) -> list[DlrunError]:
    """What is wrong with what training minimises."""
    if recipe.train.phases:
        return list(check_phases(recipe, graph, outputs, signature.target, signature.classes))
    if recipe.loss is None:
        return [
            DlrunError(
                "missing-key",
                f"`{recipe.task}` has no loss of its own, and the recipe says none.",
                path=("loss",),
                hint="Write `loss`, or `train.phases` with a loss for each part of the model.",
            )
        ]
    label = signature.ignore_label
    if label is not None and signature.classes is not None and recipe.loss.ignored != label:
        return [
            DlrunError(
                "label-not-ignored",
                f"the data's label `{label}` belongs to no class, and `{recipe.loss.kind}` would read it.",
                path=("loss",),
                hint=f"Use a loss with `ignore_index: {label}`, such as `softmax_cross_entropy`.",
            )
        ]
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
        return list(several.errors)
    except DlrunError as error:
        if error.path == ("model",) and len(outputs) == 1:  # a misfit of the answer is its last layer's
            error.path = next(node.path for node in graph.nodes if node.name == graph.outputs[0])
        return [error]
    return []


def _check_train(recipe: Recipe, samples: int, validation: int, errors: list[DlrunError]) -> None:
    data, train = recipe.data, recipe.train
    if samples and data.batch_size > samples:
        errors.append(
            DlrunError(
                "batch-too-large",
                f"a batch of `{data.batch_size}` is larger than the {samples} training samples.",
                path=("data", "batch_size"),
                hint=f"Use at most {samples}.",
            )
        )
    if train.micro_batches > data.batch_size:
        errors.append(
            DlrunError(
                "micro-batches-too-many",
                f"a batch of {data.batch_size} cannot be split into `{train.micro_batches}` parts.",
                path=("train", "micro_batches"),
            )
        )
    if train.early_stopping is not None and validation == 0:
        errors.append(
            DlrunError(
                "contradiction",
                f"`train.early_stopping` needs validation samples; `data.validation: {data.validation}` gives none.",
                path=("train", "early_stopping"),
                hint="Set `data.validation: 0.1`, or remove `early_stopping`.",
            )
        )
    if recipe.loss is None and not recipe.metrics:
        for watching, path in (
            (train.early_stopping is not None, ("train", "early_stopping")),
            (recipe.schedule.watches, ("schedule", "name")),
            (train.monitor is not None, ("train", "monitor")),
        ):
            if watching:
                errors.append(
                    DlrunError(
                        "contradiction",
                        f"`{'.'.join(path)}` has nothing to watch: with `train.phases` and no `metrics`, nothing is "
                        "evaluated.",
                        path=path,
                        hint="Remove it.",
                    )
                )
    if recipe.schedule.watches and validation == 0:
        errors.append(
            DlrunError(
                "contradiction",
                f"schedule `{recipe.schedule.kind}` needs validation samples; "
                f"`data.validation: {data.validation}` gives none.",
                path=("schedule", "name"),
                hint="Set `data.validation: 0.1`, or choose another schedule.",
            )
        )
    if recipe.backend.compile and recipe.backend.eager:
        errors.append(
            DlrunError(
                "contradiction",
                "`backend.compile` and `backend.eager` exclude each other.",
                path=("backend", "eager"),
                hint="Set one of them to false.",
            )
        )
    names = monitor_names(recipe)
    if train.monitor is not None and names and train.monitor not in names:
        errors.append(
            DlrunError(
                "unknown-monitor",
                f"`{train.monitor}` is not reported by this recipe.",
                path=("train", "monitor"),
                hint="Valid: " + ", ".join(f"`{n}`" for n in names) + ".",
            )
        )


def _check_batches(recipe: Recipe, graph: Graph, samples: int, steps: int, errors: list[DlrunError]) -> None:
    """The last batch of an epoch is the smallest, where the epoch is not cut short before it."""
    size, parts = recipe.data.batch_size, recipe.train.micro_batches
    if parts <= size <= samples:  # anything else is wrong in itself
        try:
            smallest_batch(graph, parts).check(min(size, samples - (steps - 1) * size))
        except DlrunError as error:
            errors.append(error)


def _check_warmup(recipe: Recipe, updates: int, errors: list[DlrunError]) -> None:
    """Warm-up ends within the run; one cut short by ``train.limit_batches`` (a dry run) need not get there."""
    warmup = recipe.schedule.warmup_steps
    if recipe.train.limit_batches is None and 0 < updates <= warmup:
        errors.append(
            DlrunError(
                "warmup-too-long",
                f"`{warmup}` updates of warm-up leave none of the run's {updates:,} for schedule "
                f"`{recipe.schedule.kind}`.",
                path=("schedule", "warmup_steps"),
                hint=f"Use less than {updates:,}, or train for more epochs.",
            )
        )


def monitor_names(recipe: Recipe) -> tuple[str, ...]:
    """Scalars that can pick the best checkpoint."""
    names = tuple(name for metric in recipe.metrics for name in metric.names())
    return names if recipe.loss is None else (*names, "loss")
