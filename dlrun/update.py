"""What the recipe says of each weight's update: learning rate, weight decay, penalty, limit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dlrun.errors import DlrunError, Path
from dlrun.graph import Graph
from dlrun.graph.patterns import Constraint, Regularizer, first, frozen, started, unmatched
from dlrun.recipe import Recipe


@dataclass(frozen=True)
class Update:
    """How one weight is trained.

    Args:
        multiplier: Factor of the learning rate.
        decay: Weight decay.
        regularizer: Its penalty, or None.
        constraint: Its limit, or None.
    """

    multiplier: float = 1.0
    decay: float = 0.0
    regularizer: Regularizer | None = None
    constraint: Constraint | None = None


def updates(recipe: Recipe, graph: Graph) -> dict[str, Update]:
    """How each trained weight is updated, by canonical name, in graph order."""
    optimizer, model = recipe.optimizer, recipe.model
    trained = {name: weight for name, weight in graph.weights() if weight.trainable}
    depth = depths(name for name, _ in graph.weights())
    last = max(depth.values(), default=0)
    found = {}
    for name, weight in trained.items():
        group = first(optimizer.groups, name)
        multiplier = 1.0 if group is None else group.learning_rate_multiplier
        if optimizer.layer_decay is not None:
            multiplier *= optimizer.layer_decay ** (last - depth[name])
        spared = not weight.decay or (optimizer.decay_kernels_only and len(weight.shape) < 2)
        decay = 0.0 if spared else optimizer.weight_decay
        if group is not None and group.weight_decay is not None:
            decay = group.weight_decay
        regularizer, constraint = first(model.regularizers, name), first(model.constraints, name)
        found[name] = Update(multiplier, decay, regularizer, constraint)
    return found


def ruled(recipe: Recipe, graph: Graph) -> tuple[Graph, list[DlrunError]]:
    """The graph with initial values and freezing as the recipe's patterns say, and what is wrong with any pattern.

    Args:
        recipe: The typed recipe.
        graph: The model as its layers describe it.
    """
    model = recipe.model
    lists: dict[Path, tuple[str, ...]] = {
        ("model", "initializers"): tuple(rule.match for rule in model.initializers),
        ("model", "regularizers"): tuple(rule.match for rule in model.regularizers),
        ("model", "constraints"): tuple(rule.match for rule in model.constraints),
        ("optimizer", "groups"): tuple(group.match for group in recipe.optimizer.groups),
    }
    places = [(pattern, (*path, i, "match")) for path, patterns in lists.items() for i, pattern in enumerate(patterns)]
    places += [(pattern, ("model", "freeze", i)) for i, pattern in enumerate(model.freeze)]
    errors = [*unmatched(places, graph), *_wrong_axes(model.constraints, graph)]
    graph, wrong = started(graph, model.initializers, ("model", "initializers"))
    return frozen(graph, model.freeze), [*errors, *wrong]


def _wrong_axes(constraints: Sequence[Constraint], graph: Graph) -> Iterator[DlrunError]:
    for i, constraint in enumerate(constraints):
        for name, weight in graph.weights():
            if first(constraints, name) is constraint:
                try:
                    constraint.axes(weight.shape)
                except DlrunError as error:
                    error.path = ("model", "constraints", i, *error.path)
                    error.message = f"{name}: {error.message}"
                    yield error
                    break


def depths(names: Iterable[str]) -> dict[str, int]:
    """Each weight's block, counted from the model's input.

    A block is a layer with weights, or a scope of layers (`residual_1`), in the order of the model. A scope whose
    parts are numbered and alike (the rounds of a `repeat`, the layers of an encoder) is opened: each part counts.

    Args:
        names: Canonical names of all weights, in graph order.
    """
    paths = {name: name.split(".") for name in names}
    opened = _opened(paths.values())
    blocks: dict[tuple[str, ...], int] = {}
    found = {}
    for name, parts in paths.items():
        size = 1
        while tuple(parts[:size]) in opened:
            size += 1
        found[name] = blocks.setdefault(tuple(parts[:size]), len(blocks))
    return found


def _opened(paths: Iterable[list[str]]) -> set[tuple[str, ...]]:
    inside: dict[tuple[str, ...], dict[str, set[str]]] = {}
    for parts in paths:
        for size in range(1, len(parts) - 2):  # the scope, a part of it, and at least a layer and a weight in that
            within = inside.setdefault(tuple(parts[:size]), {})
            within.setdefault(parts[size], set()).add(".".join(parts[size + 1 :]))
    return {scope for scope, within in inside.items() if _alike(within)}


def _alike(within: dict[str, set[str]]) -> bool:
    """Whether two parts are numbered alike and have half of their weights' names in common."""
    kinds: dict[str, list[set[str]]] = {}
    for part, weights in within.items():
        kinds.setdefault(re.sub(r"_?\d+$", "", part), []).append(weights)
    return any(
        2 * len(a & b) >= len(a | b) for members in kinds.values() for a, b in zip(members, members[1:], strict=False)
    )
