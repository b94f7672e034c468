"""Patterns over canonical weight names: what initial values, penalties, limits and freezing apply to."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Protocol, TypeVar

import numpy as np
from annotated_types import Ge, Gt

from dlrun.errors import DlrunError, Path, did_you_mean
from dlrun.graph.graph import Graph, Node
from dlrun.initializers import Initial, initializer_of

NotNegative = Annotated[float, Ge(0)]


class Rule(Protocol):
    """Anything with a pattern."""

    @property
    def match(self) -> str: ...


R = TypeVar("R", bound=Rule)


@dataclass(frozen=True, kw_only=True)
class InitializerRule:
    """How some weights start, whatever their layers say.

    Args:
        match: Pattern of canonical names, e.g. `*.kernel`; the first rule that matches counts.
        initializer: How they start.
    """

    match: str
    initializer: Initial


@dataclass(frozen=True, kw_only=True)
class Regularizer:
    """A penalty that is added to what training minimises, l1 sum |w| + l2 sum w^2; reported losses leave it out.

    Its gradient, l1 sign(w) + 2 l2 w, joins the loss' before clipping.

    Args:
        match: Pattern of canonical names, e.g. `*.kernel`; the first rule that matches counts.
        l1: Weight of the sum of absolute values.
        l2: Weight of the sum of squares; twice as strong as the same number as an optimizer's weight decay.
    """

    match: str
    l1: NotNegative = 0.0
    l2: NotNegative = 0.0

    def __post_init__(self) -> None:
        if self.l1 == self.l2 == 0:
            raise DlrunError("empty-rule", f"the rule for `{self.match}` has neither `l1` nor `l2`.", hint="Set one.")


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """A limit that some weights are brought back to after every update.

    Args:
        match: Pattern of canonical names, e.g. `*.kernel`; the first rule that matches counts.
        non_negative: Whether negative values become 0; this comes first.
        max_norm: Largest root of the sum of squares; what is longer is shortened.
        unit_norm: Whether that root is made 1; a weight of zeros stays.
        axis: Canonical axes that the sum runs over; all but the last when left out, or the only one.
    """

    match: str
    non_negative: bool = False
    max_norm: Annotated[float, Gt(0)] | None = None
    unit_norm: bool = False
    axis: int | tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not (self.non_negative or self.max_norm is not None or self.unit_norm):
            raise DlrunError(
                "empty-rule",
                f"the rule for `{self.match}` limits nothing.",
                hint="Set `max_norm`, `unit_norm` or `non_negative`.",
            )
        if self.max_norm is not None and self.unit_norm:
            raise DlrunError(
                "contradiction", "`max_norm` and `unit_norm` exclude each other.", path=("unit_norm",), hint="Keep one."
            )

    def axes(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The axes of a weight that the sum runs over, from 0.

        Raises:
            DlrunError: ``wrong-axis``.
        """
        rank = len(shape)
        if self.axis is None:
            return tuple(range(max(rank - 1, 1))) if rank else ()
        axes = (self.axis,) if isinstance(self.axis, int) else self.axis
        for axis in axes:
            if not -rank <= axis < rank:
                raise DlrunError(
                    "wrong-axis",
                    f"`{axis}` is not an axis of a weight of shape {shape}.",
                    path=("axis",),
                    hint=f"Axes run from 0 to {rank - 1}.",
                )
        return tuple(sorted({axis % rank for axis in axes}))

    def limit(self, w: np.ndarray) -> np.ndarray:
        """The weight within its limit: the reference."""
        if self.non_negative:
            w = np.maximum(w, 0)
        if self.max_norm is None and not self.unit_norm:
            return w
        norm = np.sqrt(np.sum(w * w, axis=self.axes(w.shape), keepdims=True))
        if self.max_norm is not None:
            unit: np.ndarray = w * (self.max_norm / np.maximum(norm, self.max_norm))
            return unit
        return w / np.where(norm > 0, norm, 1)


def first(rules: Iterable[R], name: str) -> R | None:
    """The first rule whose pattern matches a weight's name."""
    return next((rule for rule in rules if fnmatchcase(name, rule.match)), None)


def unmatched(patterns: Sequence[tuple[str, Path]], graph: Graph) -> Iterator[DlrunError]:
    """A mistake for every pattern that matches no weight.

    Args:
        patterns: Each with its place.
        graph: The model.
    """
    names = [name for name, _ in graph.weights()]
    for pattern, path in patterns:
        if any(fnmatchcase(name, pattern) for name in names):
            continue
        listed = ", ".join(f"`{n}`" for n in names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
        yield DlrunError(
            "unmatched-pattern",
            f"`{pattern}` matches no weight of the model.",
            path=path,
            hint=did_you_mean(pattern, _candidates(names), f"Weights: {listed}."),
        )


def _candidates(names: Sequence[str]) -> list[str]:
    """Patterns that do match something, for a suggestion."""
    found: dict[str, None] = {}
    for name in names:
        parts = name.split(".")
        found |= dict.fromkeys(".".join(parts[:i]) + ".*" for i in range(1, len(parts)))
        found |= {f"*.{parts[-1]}": None, name: None}
    return list(found)


def started(graph: Graph, rules: Sequence[InitializerRule], path: Path) -> tuple[Graph, list[DlrunError]]:
    """The graph with the initial values that ``rules`` say, and what is wrong with any initial value.

    Args:
        graph: The model.
        rules: The first that matches a weight counts.
        path: Where the list stands.
    """
    errors: list[DlrunError] = []
    nodes = []
    for node in graph.nodes:
        weights = []
        for weight in node.weights:
            rule = first(rules, f"{node.name}.{weight.name}")
            if rule is not None:
                weight = dataclasses.replace(weight, initializer=rule.initializer)
            try:
                initializer_of(weight.initializer).check(weight.shape)
            except DlrunError as error:
                name = f"{node.name}.{weight.name}"
                error.message = f"{name}: {error.message}"
                error.path = (
                    (*path, rules.index(rule), "initializer") if rule is not None else _place(node, weight.name)
                )
                errors.append(error)
            weights.append(weight)
        nodes.append(dataclasses.replace(node, weights=tuple(weights)))
    return dataclasses.replace(graph, nodes=tuple(nodes)), errors


def _place(node: Node, weight: str) -> Path:
    field = f"{weight}_initializer"
    return (*node.path, field) if hasattr(node.layer, field) else node.path


def frozen(graph: Graph, patterns: Sequence[str]) -> Graph:
    """The graph with every matching weight not trained.

    A layer all of whose weights match is as with `trainable: false`: batch normalisation then uses its running
    statistics in training too. A layer that shares weights is as their owner.
    """
    found: dict[str, Node] = {}

    def held(node: Node) -> Node:
        if node.shares is not None:
            owner = found[node.shares]
            kept = {w.name: w.trainable for w in owner.weights}
            shared = tuple(dataclasses.replace(w, trainable=kept[w.name]) for w in node.shared)
            layer = dataclasses.replace(node.layer, trainable=owner.layer.trainable)
            return dataclasses.replace(node, shared=shared, layer=layer)
        names = [any(fnmatchcase(f"{node.name}.{w.name}", p) for p in patterns) for w in node.weights]
        if not any(names):
            return node
        weights = tuple(
            dataclasses.replace(w, trainable=False) if hit else w for w, hit in zip(node.weights, names, strict=True)
        )
        layer = dataclasses.replace(node.layer, trainable=False) if all(names) else node.layer
        return dataclasses.replace(node, weights=weights, layer=layer)

    for node in graph.nodes:  # an owner stands before those that share its weights
        found[node.name] = held(node)
    return dataclasses.replace(graph, nodes=tuple(found.values()))
