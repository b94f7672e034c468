"""Layers that read several inputs."""

from __future__ import annotations

from dlrun.errors import DlrunError
from dlrun.graph.layer import Example, Layer, layers
from dlrun.graph.tensor import TensorType


@layers("add")
class Add(Layer):
    """Sum of its inputs.

    y = x1 + x2 + …

    Args: none.

    Shapes: (N, *) each -> (N, *).
    Weights: none.
    Errors: wrong-input-count, shape-mismatch.
    Differs: nothing.
    Source: none.
    """

    arity = (2, None)
    examples = (
        Example({}, (TensorType((3, 4)), TensorType((3, 4)))),
        Example({}, (TensorType((3,)), TensorType((4,))), raises="shape-mismatch"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        if any(x != inputs[0] for x in inputs):
            raise DlrunError(
                "shape-mismatch",
                "`add` needs inputs of one shape, got " + ", ".join(map(str, inputs)) + ".",
                hint="Project the shorter branch with a `dense` or 1x1 `conv2d` layer.",
            )
        return inputs[0]

    def flops(self, *inputs: TensorType) -> int:
        return inputs[0].size * (len(inputs) - 1)


@layers("concat")
class Concat(Layer):
    """Its inputs side by side along the last axis.

    y = [x1, x2, …]

    Args: none.

    Shapes: (N, *, C1), (N, *, C2), … -> (N, *, C1 + C2 + …).
    Weights: none.
    Errors: wrong-input-count, shape-mismatch.
    Differs: the channel axis is axis 1 in torch.
    Source: none.
    """

    arity = (2, None)
    examples = (
        Example({}, (TensorType((3, 4, 2)), TensorType((3, 4, 5)))),
        Example({}, (TensorType((3,)), TensorType((2,)), TensorType((4,)))),
        Example({}, (TensorType((3, 2)), TensorType((4, 2))), raises="shape-mismatch"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        first = inputs[0]
        if any(x.shape[:-1] != first.shape[:-1] or x.dtype != first.dtype for x in inputs):
            raise DlrunError(
                "shape-mismatch",
                "`concat` needs inputs that differ only in the last axis, got " + ", ".join(map(str, inputs)) + ".",
            )
        return TensorType((*first.shape[:-1], sum(x.shape[-1] for x in inputs)), first.dtype)
