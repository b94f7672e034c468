"""The graph itself: nodes in an order in which each reads only earlier ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dlrun.errors import Path
from dlrun.graph.layer import Layer, Weight
from dlrun.graph.tensor import TensorType

INPUT: Final = "input"
"""The name under which layers read the model's input."""


@dataclass(frozen=True)
class Node:
    """A layer in its place.

    Args:
        name: Unique name; dots separate nesting (``block1.conv2d_1``).
        layer: The description.
        inputs: Names of the nodes it reads (or ``input``).
        input_types: Their types.
        output: Its own type.
        weights: Its weights (names within the layer).
        path: Its place in the recipe.
    """

    name: str
    layer: Layer
    inputs: tuple[str, ...]
    input_types: tuple[TensorType, ...]
    output: TensorType
    weights: tuple[Weight, ...]
    path: Path = ()

    @property
    def parameters(self) -> int:
        """Trainable elements."""
        return sum(_size(w.shape) for w in self.weights if w.trainable)

    @property
    def flops(self) -> int:
        """Floating-point operations per sample, forward."""
        return self.layer.flops(*self.input_types)


@dataclass(frozen=True)
class Graph:
    """A verified model: every shape known, every name unique, one input, one output."""

    input: TensorType
    nodes: tuple[Node, ...]

    @property
    def output(self) -> TensorType:
        """Type of the last node, which is the model's output."""
        return self.nodes[-1].output

    @property
    def sequential(self) -> bool:
        """Whether each node reads exactly the one before it."""
        before = INPUT
        for node in self.nodes:
            if node.inputs != (before,):
                return False
            before = node.name
        return True

    @property
    def parameters(self) -> int:
        """Trainable elements in all."""
        return sum(n.parameters for n in self.nodes)

    @property
    def flops(self) -> int:
        """Floating-point operations per sample, forward."""
        return sum(n.flops for n in self.nodes)

    def weights(self) -> Iterator[tuple[str, Weight]]:
        """Every weight under its canonical name, ``<node>.<weight>``, in graph order."""
        for node in self.nodes:
            for weight in node.weights:
                yield f"{node.name}.{weight.name}", weight


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for axis in shape:
        size *= axis
    return size
