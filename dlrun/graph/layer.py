"""The base of every layer: fields, shape inference and weights; no framework."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from dlrun.described import described
from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType
from dlrun.registry import Registry


@dataclass(frozen=True)
class Weight:
    """One array of a layer, in canonical (channels-last, Keras-kernel) layout.

    Args:
        name: Name within the layer, e.g. ``kernel``.
        shape: Canonical shape.
        initializer: Name in ``dlrun.initializers``.
        trainable: False for running statistics.
        decay: Whether weight decay applies.
    """

    name: str
    shape: tuple[int, ...]
    initializer: str
    trainable: bool = True
    decay: bool = True


@dataclass(frozen=True)
class Example:
    """A case of a layer for documentation and the conformance suite.

    Args:
        fields: The layer's fields as a recipe writes them.
        inputs: Types of its inputs.
        raises: Error code expected from inference, if the case is a mistake.
    """

    fields: dict[str, Any]
    inputs: tuple[TensorType, ...]
    raises: str | None = None


@described
class Layer:
    """A layer's description. Subclasses are registered with ``@layers("name")``.

    Args:
        name: The user's own name for the layer, or None for an automatic one.
        inputs: Names of the layers it reads, or None for the one before it.
    """

    kind: ClassVar[str] = ""
    arity: ClassVar[tuple[int, int | None]] = (1, 1)
    """Smallest and largest number of inputs (None: no limit)."""
    elementwise: ClassVar[bool] = False
    """Whether it can be named in another layer's ``activation`` field."""
    examples: ClassVar[tuple[Example, ...]] = ()

    name: str | None = None
    inputs: tuple[str, ...] | None = None

    def infer(self, *inputs: TensorType) -> TensorType:
        """The output type; the only place where it is computed.

        Raises:
            DlrunError: When the inputs do not fit the layer.
        """
        raise NotImplementedError

    def weights(self, *inputs: TensorType) -> tuple[Weight, ...]:
        """The layer's weights for these inputs, in a fixed order."""
        return ()

    def flops(self, *inputs: TensorType) -> int:
        """Floating-point operations of one sample's forward pass (a multiply-add counts 2)."""
        return 0


layers: Registry[Layer] = Registry("layer", home="dlrun.layers")

Layers = Annotated[tuple[Layer, ...], "layers"]
"""The type of a field that holds nested layers, written as a list in a recipe."""


@described
class Composite(Layer):
    """A layer said with other layers; it is expanded into the graph and never lowered."""

    def expand(self, sub: Any, *inputs: str) -> str:
        """Add the parts through ``sub`` (see ``build.Builder``) and return the output's name."""
        raise NotImplementedError


def require_rank(kind: str, x: TensorType, rank: int, axes: str) -> None:
    """Raise ``wrong-rank`` unless ``x`` has ``rank`` axes (batch not counted)."""
    if x.rank != rank:
        raise DlrunError(
            "wrong-rank",
            f"`{kind}` needs input of shape (N, {axes}), got {x}.",
            hint="Add `flatten` before a `dense` layer."
            if kind == "dense"
            else f"Use `reshape` to give it {rank} axes.",
        )


def pair(value: int | Sequence[int]) -> tuple[int, int]:
    """An int for both spatial axes, or one per axis."""
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))
