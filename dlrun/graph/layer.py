"""The base of every layer: fields, shape inference and weights; no framework."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from dlrun.described import described
from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType
from dlrun.initializers import Fans, Initial
from dlrun.registry import Registry


@dataclass(frozen=True)
class Weight:
    """One array of a layer, in canonical (channels-last, Keras-kernel) layout.

    Args:
        name: Name within the layer, e.g. ``kernel``.
        shape: Canonical shape.
        initializer: How it starts: a name in ``dlrun.initializers``, or an initializer with fields.
        trainable: False for running statistics.
        decay: Whether weight decay applies.
        fans: (fan_in, fan_out) where the shape does not tell them: depthwise kernels.
    """

    name: str
    shape: tuple[int, ...]
    initializer: Initial
    trainable: bool = True
    decay: bool = True
    fans: Fans | None = None


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
        trainable: Whether its weights are updated; batch normalisation that is not uses its running statistics.
        share: Name of an earlier layer whose weights it uses instead of its own; they are trained if that layer's are.
            A layer made of several shares part by part.
    """

    kind: ClassVar[str] = ""
    arity: ClassVar[tuple[int, int | None]] = (1, 1)
    """Smallest and largest number of inputs (None: no limit)."""
    elementwise: ClassVar[bool] = False
    """Whether it can be named in another layer's ``activation`` field."""
    examples: ClassVar[tuple[Example, ...]] = ()

    name: str | None = None
    inputs: tuple[str, ...] | None = None
    trainable: bool = True
    share: str | None = None

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

    def smallest_batch(self, *inputs: TensorType) -> int:
        """Samples that it needs at once in training."""
        return 1


layers: Registry[Layer] = Registry("layer", home="dlrun.layers", group="dlrun.layers")

Layers = Annotated[tuple[Layer, ...], "layers"]
"""The type of a field that holds nested layers, written as a list in a recipe."""


@described
class Composite(Layer):
    """A layer said with other layers; it is expanded into the graph and never lowered."""

    blind: ClassVar[bool] = False
    """Whether its parts do not depend on the types of its inputs."""
    shares_itself: ClassVar[bool] = False
    """Whether it gives ``share`` to a part; else each part shares the weights of the owner's part of that name."""

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


def require_ids(kind: str, x: TensorType, what: str = "ids") -> None:
    """Raise ``wrong-dtype`` unless ``x`` holds whole numbers; ``what`` names them in the message."""
    if x.dtype != "int":
        raise DlrunError(
            "wrong-dtype",
            f"`{kind}` needs {what}, whole numbers, got {x} of dtype `{x.dtype}`.",
            hint="Make a mask with `padding_mask`."
            if what == "a mask"
            else "Read ids, before any `embedding`; those of a file are ids with `dtype: int` in `data.source`.",
        )


def require_mask(kind: str, mask: TensorType, length: int) -> None:
    """Raise unless ``mask`` holds one whole number per step: 1 keeps a step, 0 drops it."""
    require_ids(kind, mask, "a mask")
    if mask.shape != (length,):
        raise DlrunError(
            "mask-length",
            f"`{kind}` needs one mask value for each of `{length}` steps, got {mask}.",
            hint="Make the mask from the same ids with `padding_mask`.",
        )


def require_float(kind: str, *inputs: TensorType) -> None:
    """Raise ``wrong-dtype`` unless every input holds numbers (not ids or masks)."""
    for x in inputs:
        if x.dtype != "float":
            raise DlrunError(
                "wrong-dtype",
                f"`{kind}` needs numbers, got {x} of dtype `{x.dtype}`.",
                hint="Ids go through `embedding` first.",
            )


def require_sequence(kind: str, x: TensorType) -> None:
    """Raise unless ``x`` is a sequence of vectors."""
    require_float(kind, x)
    require_rank(kind, x, 2, "length, channels")


def pair(value: int | Sequence[int]) -> tuple[int, int]:
    """An int for both spatial axes, or one per axis."""
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))
