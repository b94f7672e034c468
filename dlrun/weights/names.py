"""How another library calls the layers of a model, as rules over this model's names that work both ways."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from dlrun.errors import DlrunError
from dlrun.graph import Graph, Node, Weight
from dlrun.weights.layout import Fold, Peer, Turn
from dlrun.weights.order import Orders, axis_orders, feature_orders

Style = Literal["torch", "keras", "numbered"]
"""How a file names the arrays of one layer: ``.weight``, ``/kernel``, or ``/0``."""

_HOLE = re.compile(r"\{(\w+)(?:([+-]\d+))?\}")


@dataclass(frozen=True)
class Rule:
    """What a layer is called.

    Args:
        ours: Node names; ``{i}`` stands for a number, a leading ``**.`` for any scope or none.
        theirs: The other name; ``{i}`` and ``{i-1}`` give the number back.
            A trailing ``_`` joins what follows as it is.
        part: (index, count) where several of our layers lie in one of their arrays.
        turn: Instead of the layer's usual order of axes.
        axes: Where ``theirs`` is already the array's whole name: its axes (see ``Peer``).
        fold: Weight of our layer that another of their arrays joins, and that array; ``{i}`` as in ``theirs``.
    """

    ours: str
    theirs: str
    part: tuple[int, int] | None = None
    turn: Turn | None = None
    axes: tuple[int | None, ...] | None = None
    fold: tuple[str, Fold] | None = None

    def match(self, node: str) -> dict[str, int] | None:
        """The numbers in a node's name, or None when it is not meant."""
        found = _pattern(self.ours).fullmatch(node)
        return None if found is None else {k: int(v) for k, v in found.groupdict().items()}


@dataclass(frozen=True)
class NameMap:
    """Names of a family of published files.

    Args:
        name: What a recipe calls it.
        rules: Of its layers; the first that matches counts.
        style: How the arrays of a layer are named.
        optional: Beginnings that a file's names may lack (``resnet.``) where only a part was saved.
        number: Makes the rules from a graph, where they depend on which layers there are.
        older: How files of an earlier day spell names: patterns, and what stands there instead.
    """

    name: str
    rules: tuple[Rule, ...] = ()
    style: Style = "torch"
    optional: tuple[str, ...] = ()
    number: Callable[[Graph], Iterable[Rule]] | None = None
    older: tuple[tuple[str, str], ...] = ()

    def mistakes(self, graph: Graph) -> Iterator[DlrunError]:
        """What is wrong with the map itself for this graph; nothing with a published one."""
        del graph
        yield from ()

    def absent(
        self, graph: Graph, names: Iterable[str], has: Callable[[str], bool], skip: Sequence[str]
    ) -> Iterator[DlrunError]:
        """What the map says is in a file and is not; nothing of a published map, which is for many files.

        Args:
            graph: The model.
            names: Of the file's arrays.
            has: Whether the file has an array, however it spells its name.
            skip: Patterns of weights that are not loaded, and may be absent.
        """
        del graph, names, has, skip
        yield from ()

    def peers(self, graph: Graph) -> dict[str, Peer]:
        """Where each weight of the graph stands, by canonical name; without those that the map does not know."""
        rules = (*self.rules, *(self.number(graph) if self.number is not None else ()))
        orders = orders_of(graph, self.style)
        found = {}
        for node in graph.nodes:
            for rule in rules if node.weights else ():
                numbers = rule.match(node.name)
                if numbers is not None:
                    for weight in node.weights:
                        peer = _peer(node, weight, rule, numbers, self.style, orders)
                        if peer is not None:
                            found[f"{node.name}.{weight.name}"] = peer
                    break
        return found


def _pattern(ours: str) -> re.Pattern[str]:
    scope, rest = ("(?:.*\\.)?", ours[3:]) if ours.startswith("**.") else ("", ours)
    parts = re.split(r"(\{\w+\})", rest)
    return re.compile(scope + "".join(rf"(?P<{p[1:-1]}>\d+)" if p.startswith("{") else re.escape(p) for p in parts))


def filled(template: str, numbers: dict[str, int]) -> str:
    """A template with its numbers."""
    return _HOLE.sub(lambda m: str(numbers[m[1]] + int(m[2] or 0)), template)


_TORCH = {
    "kernel": "weight",
    "scale": "weight",
    "table": "weight",
    "slope": "weight",
    "bias": "bias",
    "shift": "bias",
    "mean": "running_mean",
    "variance": "running_var",
}
_KERAS = {
    "kernel": "kernel",
    "bias": "bias",
    "scale": "gamma",
    "shift": "beta",
    "mean": "moving_mean",
    "variance": "moving_variance",
    "table": "embeddings",
    "slope": "alpha",
}


def _peer(node: Node, weight: Weight, rule: Rule, numbers: dict[str, int], style: Style, orders: Orders) -> Peer | None:
    theirs = filled(rule.theirs, numbers)
    fold = rule.fold[1] if rule.fold is not None and rule.fold[0] == weight.name else None
    if fold is not None:
        fold = Fold(filled(fold.name, numbers), fold.factor, fold.rows)
    if rule.axes is not None:
        return Peer(theirs, "whole", axes=rule.axes)
    leaf = leaf_of(node, weight, style)
    if leaf is None:
        return None
    joint = "" if theirs.endswith("_") else ("." if style == "torch" else "/")
    turn = turn_of(node, weight) if style == "torch" else "same"
    if rule.turn is not None and weight.name == "kernel":
        turn = rule.turn
    rows, columns = axis_orders(node, weight, orders)
    return Peer(f"{theirs}{joint}{leaf}", turn, rule.part, fold=fold, rows=rows, columns=columns)


def orders_of(graph: Graph, style: Style) -> Orders:
    """The order of flattened features; only torch has one of its own."""
    return feature_orders(graph) if style == "torch" else {}


def leaf_of(node: Node, weight: Weight, style: Style) -> str | None:
    """What an array of a layer is called after the layer's own name, or None where styles know no such one."""
    if style == "torch":
        return _TORCH.get(weight.name)
    if style == "keras":
        return _KERAS.get(weight.name)
    return str([w.name for w in node.weights].index(weight.name))


def turn_of(node: Node, weight: Weight) -> Turn:
    """How torch orders a weight's axes."""
    if weight.name != "kernel":
        return "same"
    if _depthwise(node):
        return "depthwise"
    return "linear" if len(weight.shape) == 2 else "kernel"


def _depthwise(node: Node) -> bool:
    return node.layer.kind.startswith("depthwise")


def alternatives(name: str, optional: Sequence[str], older: Sequence[tuple[str, str]] = ()) -> Iterable[str]:
    """How a file may call an array: as the map says, without an optional beginning, or as older files do."""
    names = [name, *(name.removeprefix(o) for o in optional if name.startswith(o))]
    for pattern, before in older:
        names += [re.sub(pattern, before, one) for one in names if re.search(pattern, one)]
    for new, old in ((".weight", ".gamma"), (".bias", ".beta"), ("/kernel", "/depthwise_kernel")):
        names += [one.removesuffix(new) + old for one in names if one.endswith(new)]
    for one in names:
        yield from (one, f"module.{one}", f"model.{one}")
