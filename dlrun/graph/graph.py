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
        weights: Its own weights (names within the layer).
        path: Its place in the recipe.
        shares: Name of the node whose weights it uses; then it has none of its own.
        shared: What it declares of those weights.
    """

    name: str
    layer: Layer
    inputs: tuple[str, ...]
    input_types: tuple[TensorType, ...]
    output: TensorType
    weights: tuple[Weight, ...]
    path: Path = ()
    shares: str | None = None
    shared: tuple[Weight, ...] = ()

    @property
    def parameters(self) -> int:
        """Trainable elements of its own."""
        return sum(_size(w.shape) for w in self.weights if w.trainable)

    @property
    def frozen(self) -> int:
        """Elements of its own that its layer would train and the recipe does not; running statistics are none."""
        held = {w.name for w in self.weights if not w.trainable}
        if not held:
            return 0
        return sum(_size(w.shape) for w in self.layer.weights(*self.input_types) if w.trainable and w.name in held)

    @property
    def flops(self) -> int:
        """Floating-point operations per sample, forward."""
        return self.layer.flops(*self.input_types)


@dataclass(frozen=True)
class Graph:
    """A verified model: every shape known, every name unique, one input, one or more outputs.

    Args:
        input: Type of the model's input.
        nodes: In an order in which each reads only earlier ones.
        outputs: Names of the nodes that are read from outside; the last node when left out. The first
            is the model's answer, further ones are read by losses only.
    """

    input: TensorType
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.outputs:
            object.__setattr__(self, "outputs", (self.nodes[-1].name,))

    @property
    def output(self) -> TensorType:
        """Type of the model's (first) output."""
        return self.output_types[0]

    @property
    def output_types(self) -> tuple[TensorType, ...]:
        """Types of all outputs."""
        types = {node.name: node.output for node in self.nodes}
        return tuple(types[name] for name in self.outputs)

    def reading(self, outputs: tuple[str, ...]) -> Graph:
        """The part of the graph that these outputs are computed from, with them as its outputs."""
        wanted = set(outputs)
        for node in reversed(self.nodes):
            if node.name in wanted:
                wanted.update(node.inputs)
        return Graph(self.input, tuple(n for n in self.nodes if n.name in wanted), outputs)

    @property
    def sequential(self) -> bool:
        """Whether each node reads exactly the one before it, owns its weights, and the last is the output."""
        if self.outputs != (self.nodes[-1].name,) or any(node.shares for node in self.nodes):
            return False
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
    def frozen(self) -> int:
        """Elements in all that layers would train and the recipe does not."""
        return sum(n.frozen for n in self.nodes)

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
