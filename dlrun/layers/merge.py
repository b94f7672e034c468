"""Layers that read several inputs and make one of them."""

from __future__ import annotations

from typing import ClassVar

from dlrun.errors import DlrunError
from dlrun.graph.layer import Example, Layer, layers, require_float
from dlrun.graph.tensor import TensorType
from dlrun.layers.shape import find_axis


def _listed(inputs: tuple[TensorType, ...]) -> str:
    return ", ".join(f"`{x}`" for x in inputs)


class _SameShape(Layer):
    """Inputs of one shape."""

    arity: ClassVar[tuple[int, int | None]] = (2, None)
    examples: ClassVar[tuple[Example, ...]] = (
        Example({}, (TensorType((3, 4)), TensorType((3, 4)))),
        Example({}, (TensorType((3, 4, 2)), TensorType((3, 4, 2)), TensorType((3, 4, 2)))),
        Example({}, (TensorType((3,)), TensorType((4,))), raises="shape-mismatch"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        if any(x != inputs[0] for x in inputs):
            raise DlrunError(
                "shape-mismatch",
                f"`{self.kind}` needs inputs of one shape, got {_listed(inputs)}.",
                hint="Project the shorter branch with a `dense` or 1x1 `conv2d` layer.",
            )
        return inputs[0]

    def flops(self, *inputs: TensorType) -> int:
        return inputs[0].size * (len(inputs) - 1)


@layers("add")
class Add(_SameShape):
    """Sum of its inputs.

    y = x1 + x2 + …

    Args: none.

    Shapes: (N, *) each -> (N, *).
    Weights: none.
    Errors: wrong-input-count, shape-mismatch.
    Differs: nothing.
    Source: none.
    """


@layers("subtract")
class Subtract(_SameShape):
    """Its first input less the second.

    y = x1 - x2.

    Args: none.

    Shapes: (N, *) both -> (N, *).
    Weights: none.
    Errors: wrong-input-count, shape-mismatch.
    Differs: nothing.
    Source: none.
    """

    arity = (2, 2)
    examples = (
        Example({}, (TensorType((3, 4)), TensorType((3, 4)))),
        Example({}, (TensorType((3,)), TensorType((4,))), raises="shape-mismatch"),
    )


@layers("multiply")
class Multiply(Layer):
    """Product of its inputs; an axis of length 1 is repeated.

    y = x1 x2 …

    Args: none.

    Shapes: (N, n, *) or (N, 1, *) each, as many axes each -> (N, n, *).
    Weights: none.
    Errors: wrong-input-count, shape-mismatch.
    Differs: the frameworks also put axes in front; here every input has all of them.
    Source: none.
    """

    arity = (2, None)
    examples = (
        Example({}, (TensorType((3, 4)), TensorType((3, 4)))),
        Example({}, (TensorType((3, 4, 2)), TensorType((1, 1, 2)))),
        Example({}, (TensorType((1, 4)), TensorType((3, 1)), TensorType((3, 4)))),
        Example({}, (TensorType((3,)), TensorType((4,))), raises="shape-mismatch"),
        Example({}, (TensorType((3, 4)), TensorType((4,))), raises="shape-mismatch"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        first = inputs[0]
        shape = tuple(max(axis) for axis in zip(*(x.shape for x in inputs), strict=False))
        if any(
            x.rank != first.rank
            or x.dtype != first.dtype
            or any(n not in (1, m) for n, m in zip(x.shape, shape, strict=False))
            for x in inputs
        ):
            raise DlrunError(
                "shape-mismatch",
                f"`multiply` needs inputs whose axes are equal or 1, got {_listed(inputs)}.",
                hint="Use `reshape` to give them the same number of axes.",
            )
        return TensorType(shape, first.dtype)

    def flops(self, *inputs: TensorType) -> int:
        return self.infer(*inputs).size * (len(inputs) - 1)


@layers("average")
class Average(_SameShape):
    """Mean of its inputs.

    y = (x1 + x2 + …) / n, with n the number of inputs.

    Args: none.

    Shapes: (N, *) each -> (N, *).
    Weights: none.
    Errors: wrong-input-count, shape-mismatch, wrong-dtype.
    Differs: nothing.
    Source: none.
    """

    def infer(self, *inputs: TensorType) -> TensorType:
        require_float(self.kind, *inputs)
        return super().infer(*inputs)


@layers("maximum")
class Maximum(_SameShape):
    """Largest of its inputs.

    y = max(x1, x2, …); of equal ones the first receives the gradient.

    Args: none.

    Shapes: (N, *) each -> (N, *).
    Weights: none.
    Errors: wrong-input-count, shape-mismatch.
    Differs: torch shares the gradient among equal inputs.
    Source: Goodfellow et al. 2013.
    """


@layers("minimum")
class Minimum(_SameShape):
    """Smallest of its inputs.

    y = min(x1, x2, …); of equal ones the first receives the gradient.

    Args: none.

    Shapes: (N, *) each -> (N, *).
    Weights: none.
    Errors: wrong-input-count, shape-mismatch.
    Differs: torch shares the gradient among equal inputs.
    Source: none.
    """


@layers("concat")
class Concat(Layer):
    """Its inputs side by side along one axis.

    y = [x1, x2, …]

    Args:
        axis: Which axis, the batch not counted; -1 is the last, the channels.

    Shapes: (N, *, C1), (N, *, C2), … -> (N, *, C1 + C2 + …).
    Weights: none.
    Errors: wrong-input-count, shape-mismatch, bad-axis.
    Differs: the channel axis is axis 1 in torch.
    Source: none.
    """

    axis: int = -1

    arity = (2, None)
    examples = (
        Example({}, (TensorType((3, 4, 2)), TensorType((3, 4, 5)))),
        Example({}, (TensorType((3,)), TensorType((2,)), TensorType((4,)))),
        Example({"axis": 0}, (TensorType((1, 3)), TensorType((4, 3)))),
        Example({"axis": -2}, (TensorType((3, 4, 2)), TensorType((3, 1, 2)))),
        Example({"axis": 0}, (TensorType((2, 2, 3, 2)), TensorType((1, 2, 3, 2)))),
        Example({}, (TensorType((3, 2)), TensorType((4, 2))), raises="shape-mismatch"),
        Example({"axis": 1}, (TensorType((3, 2)), TensorType((4, 2))), raises="shape-mismatch"),
        Example({"axis": 2}, (TensorType((3, 2)), TensorType((3, 2))), raises="bad-axis"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        first = inputs[0]
        axis = find_axis(self.kind, first, self.axis)

        def rest(x: TensorType) -> tuple[int, ...]:
            return (*x.shape[:axis], *x.shape[axis + 1 :])

        if any(x.rank != first.rank or rest(x) != rest(first) or x.dtype != first.dtype for x in inputs):
            where = "the last axis" if axis == first.rank - 1 else f"axis {axis}"
            raise DlrunError(
                "shape-mismatch", f"`concat` needs inputs that differ only in {where}, got {_listed(inputs)}."
            )
        together = sum(x.shape[axis] for x in inputs)
        return TensorType((*first.shape[:axis], together, *first.shape[axis + 1 :]), first.dtype)
