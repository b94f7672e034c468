"""The order of flattened features: torch counts channels first, dlrun channels last."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dlrun.graph import Graph, Node, Weight
from dlrun.graph.tensor import TensorType
from dlrun.layers.activation import Elementwise

_ALIKE = frozenset(
    ("dropout", "spatial_dropout", "stochastic_depth", "gaussian_noise", "gradient_reversal", "scale", "softmax")
) | {"log_softmax", "batch_norm", "layer_norm", "rms_norm"}
"""Layers whose features stay where they are, beside the element-wise ones."""
_MERGES = frozenset(("add", "subtract", "multiply", "average", "maximum", "minimum"))
_IMAGE = 3

Orders = dict[str, np.ndarray]
"""Of nodes: for each feature here, its number in torch; without those for which it is the same."""


def feature_orders(graph: Graph) -> Orders:
    """The order of the features of each node's output, where a ``flatten`` or a ``reshape`` makes it another one."""
    nodes = {node.name: node for node in graph.nodes}
    asked = _asked(graph, nodes)
    found: Orders = {}
    for node in graph.nodes:
        order = _order(node, nodes, found)
        if order is None and node.layer.kind == "dense":
            order = asked.get(node.name)
        if order is not None and not np.array_equal(order, np.arange(order.size)):
            found[node.name] = order
    return found


def axis_orders(node: Node, weight: Weight, orders: Orders) -> tuple[np.ndarray | None, np.ndarray | None]:
    """How the first and the last axis of a weight are ordered in torch; None where they are as here."""
    before, after = orders.get(node.inputs[0]) if node.inputs else None, orders.get(node.name)
    if node.layer.kind == "dense":
        return (before, after) if weight.name == "kernel" else (after, None)
    return (after if after is not None and weight.shape == after.shape else None), None


def _order(node: Node, nodes: dict[str, Node], found: Orders) -> np.ndarray | None:
    kind = node.layer.kind
    if kind in ("flatten", "reshape") and node.output.rank == 1 and node.input_types[0].rank > 1:
        first = _channels_first(node.input_types[0], _sources(node, nodes))
        return _flattened(node.input_types[0].shape) if first else None
    if _alike(node) or kind in _MERGES:
        return next((found[name] for name in node.inputs if name in found), None)
    if kind == "concat" and node.output.rank == 1 and any(name in found for name in node.inputs):
        sizes = [x.size for x in node.input_types]
        starts = np.cumsum([0, *sizes[:-1]])
        parts = [found.get(name, np.arange(n)) for name, n in zip(node.inputs, sizes, strict=True)]
        return np.concatenate([start + part for start, part in zip(starts, parts, strict=True)])
    return None


def _asked(graph: Graph, nodes: dict[str, Node]) -> Orders:
    """The order that a later ``reshape`` into channels gives the features of what it reads."""
    found: Orders = {}
    for node in reversed(graph.nodes):
        if node.layer.kind == "reshape" and node.input_types[0].rank == 1:
            if _channels_first(node.output, _readers(node, graph)):
                found[node.inputs[0]] = _flattened(node.output.shape)
        elif _alike(node) and node.name in found:
            found[node.inputs[0]] = found[node.name]
    return found


def _flattened(shape: tuple[int, ...]) -> np.ndarray:
    size = int(np.prod(shape))
    return np.moveaxis(np.arange(size).reshape(shape[-1], *shape[:-1]), 0, -1).reshape(-1)


def _alike(node: Node) -> bool:
    return isinstance(node.layer, Elementwise) or node.layer.kind in _ALIKE


def _channels_first(x: TensorType, neighbours: Iterator[Node]) -> bool:
    """Whether torch keeps channels first there: of images, and of sequences beside layers that slide over them."""
    kinds = [node.layer.kind for node in neighbours]
    if "permute" in kinds:  # the recipe has arranged the axes itself
        return False
    return x.rank >= _IMAGE or (x.rank > 1 and any(kind.endswith(("1d", "1d_transpose")) for kind in kinds))


def _sources(node: Node, nodes: dict[str, Node]) -> Iterator[Node]:
    """The first nodes upwards that do more than pass on where things are."""
    for name in node.inputs:
        if name in nodes:
            above = nodes[name]
            if _alike(above) or above.layer.kind in _MERGES:
                yield from _sources(above, nodes)
            else:
                yield above


def _readers(node: Node, graph: Graph) -> Iterator[Node]:
    for below in graph.nodes:
        if node.name in below.inputs:
            if _alike(below):
                yield from _readers(below, graph)
            else:
                yield below
