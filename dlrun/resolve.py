"""From a typed recipe to a plan: data signature, shapes, and every check that needs both."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any, TypeVar

from dlrun.consistency import Facts, inconsistencies
from dlrun.data.checks import seen
from dlrun.data.remote import fetch_files
from dlrun.data.source import Place, Signature
from dlrun.errors import DlrunError, DlrunErrors, Path
from dlrun.graph import Graph, Layer, LayerList, Model, draft_mistakes
from dlrun.graph import build_model as build
from dlrun.graph.own import missing_forms
from dlrun.graph.pretrained import Pretrained
from dlrun.layers.linear import Dense
from dlrun.models.native import Native, for_backend, native_graph
from dlrun.models.tokens import Tokens
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


def mistakes_in_draft(model: Model, signature: Signature | None, task: str | None) -> list[DlrunError]:
    """What is wrong with the wiring of a model of which not every field, or not its input, could be read.

    Args:
        model: As far as it is known.
        signature: Of samples as the model reads them, if it is known.
        task: Name of the task, if it is known.

    Raises:
        DlrunError: Where nothing can be wired at all.
    """
    if not isinstance(model, LayerList):
        return []
    if signature is None or task is None:
        return draft_mistakes(model, None)
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
    graph = graph or build_model(recipe.model, seen(recipe.data, signature, errors), recipe.task)
    graph, wrong = _fitted(recipe, graph)
    facts = Facts(recipe, signature, graph)
    errors += [*wrong, *inconsistencies(facts)]
    if errors:
        raise DlrunErrors(errors)
    return Plan(recipe, signature, graph, facts.train, facts.held, facts.steps)


def mistakes_in_part(
    recipe: Recipe, signature: Signature | None, graph: Graph | None, unread: Collection[Path]
) -> list[DlrunError]:
    """What is wrong with a recipe of which not all is known.

    Args:
        recipe: The typed recipe; what is not known of it may hold anything.
        signature: Of the data, if it could be read.
        graph: The model's, if it could be built.
        unread: Paths of what is not known of the recipe.
    """
    errors: list[DlrunError] = []
    if graph is not None and not any(path[0] in ("optimizer", "backend", "seed") for path in unread):
        graph, errors = _fitted(recipe, graph)
    return [*errors, *inconsistencies(Facts(recipe, signature, graph), unread)]


def _fitted(recipe: Recipe, graph: Graph) -> tuple[Graph, list[DlrunError]]:
    """The graph as the backend and the patterns of the recipe have it, and what is wrong with them."""
    if isinstance(recipe.model, Native):
        return for_backend(graph, recipe.model, recipe.backend.name, recipe.seed)
    graph, wrong = ruled(recipe, graph)
    return graph, [*wrong, *missing_forms(graph, recipe.backend.name), *_wrong_weights(recipe.model.weights, graph)]


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
