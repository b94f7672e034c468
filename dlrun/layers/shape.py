"""Layers that only rearrange or pick out; axes are counted from 0 without the batch, or from the end as -1."""

from __future__ import annotations

import math
from typing import Annotated

from annotated_types import Gt

from dlrun.errors import DlrunError
from dlrun.graph.layer import Example, Layer, layers
from dlrun.graph.tensor import TensorType


def find_axis(kind: str, x: TensorType, axis: int, field: str = "axis") -> int:
    """An axis of a sample as a number from 0.

    Raises:
        DlrunError: ``bad-axis`` when ``x`` has no such axis.
    """
    if not -x.rank <= axis < x.rank:
        raise DlrunError(
            "bad-axis",
            f"`{kind}` has no axis `{axis}`: {x} has {x.rank}, the batch not counted.",
            path=(field,),
            hint=f"Use {-x.rank} to {x.rank - 1}; -1 is the last, the channels.",
        )
    return axis % x.rank


@layers("flatten")
class Flatten(Layer):
    """All axes but the batch in one, in channels-last order.

    y[(i W + j) C + c] = x[i, j, c].

    Args: none.

    Shapes: (N, *) -> (N, product of *).
    Weights: none.
    Errors: none.
    Differs: torch flattens channels first, which permutes the next dense kernel's rows.
    Source: none.
    """

    examples = (Example({}, (TensorType((3, 4, 2)),)), Example({}, (TensorType((5,)),)))

    def infer(self, *inputs: TensorType) -> TensorType:
        return TensorType((inputs[0].size,), inputs[0].dtype)


@layers("reshape")
class Reshape(Layer):
    """Another shape for the same elements, in channels-last order.

    y has the elements of x in the same row-major order.

    Args:
        shape: New axes without the batch; at most one is -1 and is worked out.

    Shapes: (N, *) -> (N, *shape).
    Weights: none.
    Errors: reshape-size.
    Differs: torch images are channels first; the order here is channels last.
    Source: none.
    """

    known_as = ("view",)

    shape: tuple[int, ...]

    examples = (
        Example({"shape": (4, 6)}, (TensorType((2, 3, 4)),)),
        Example({"shape": (2, -1, 2)}, (TensorType((12,)),)),
        Example({"shape": (5,)}, (TensorType((4,)),), raises="reshape-size"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        known = math.prod(a for a in self.shape if a != -1)
        free = self.shape.count(-1)
        fits = known > 0 and (x.size == known if free == 0 else x.size % known == 0)
        if free > 1 or any(a < -1 or a == 0 for a in self.shape) or not fits:
            raise DlrunError(
                "reshape-size",
                f"`reshape` cannot turn {x.size} elements {x} into `{list(self.shape)}`.",
                path=("shape",),
                hint="The product of the new axes must equal the number of elements; one axis may be -1.",
            )
        return TensorType(tuple(x.size // known if a == -1 else a for a in self.shape), x.dtype)


@layers("permute")
class Permute(Layer):
    """The axes in another order.

    y[i[a0], i[a1], …] = x[i[0], i[1], …], with a0, a1, … the axes.

    Args:
        axes: Which axis of x each axis of y is; every one once.

    Shapes: (N, n0, n1, …) -> (N, n[a0], n[a1], …).
    Weights: none.
    Errors: bad-axis, axes-not-permuted.
    Differs: Keras counts axes from 1, torch counts the batch.
    Source: none.
    """

    axes: tuple[int, ...]

    examples = (
        Example({"axes": (1, 0)}, (TensorType((3, 5)),)),
        Example({"axes": (2, 0, 1)}, (TensorType((3, 4, 2)),)),
        Example({"axes": (-1, 1, 0, 2)}, (TensorType((2, 3, 4, 5)),)),
        Example({"axes": (1, 0, 2, 4, 3)}, (TensorType((2, 3, 1, 2, 3)),)),
        Example({"axes": (0,)}, (TensorType((4,)),)),
        Example({"axes": (0, 2)}, (TensorType((3, 5)),), raises="bad-axis"),
        Example({"axes": (0, 0)}, (TensorType((3, 5)),), raises="axes-not-permuted"),
        Example({"axes": (0,)}, (TensorType((3, 5)),), raises="axes-not-permuted"),
    )

    def order(self, x: TensorType) -> tuple[int, ...]:
        """The axes as numbers from 0."""
        return tuple(find_axis(self.kind, x, axis, "axes") for axis in self.axes)

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        order = self.order(x)
        if sorted(order) != list(range(x.rank)):
            raise DlrunError(
                "axes-not-permuted",
                f"`{list(self.axes)}` does not name each of the {x.rank} axes of {x} once.",
                path=("axes",),
                hint=f"Use the numbers 0 to {x.rank - 1}, each once.",
            )
        return TensorType(tuple(x.shape[axis] for axis in order), x.dtype)


@layers("slice")
class Slice(Layer):
    """A stretch of one axis.

    y[i] = x[start + i step] along the axis, up to but without stop.

    Args:
        axis: Which axis; -1 is the last.
        start: First position; from the end if negative.
        stop: First position left out; from the end if negative, and the axis' length when left out.
        step: Distance between positions.

    Shapes: (N, *, n, *) -> (N, *, ceil((stop - start) / step), *).
    Weights: none.
    Errors: bad-axis, slice-outside, empty-slice.
    Differs: Python cuts a range that is too long silently; here it is a mistake.
    Source: none.
    """

    axis: int = -1
    start: int = 0
    stop: int | None = None
    step: Annotated[int, Gt(0)] = 1

    examples = (
        Example({"start": 1}, (TensorType((5,)),)),
        Example({"axis": 0, "stop": 1}, (TensorType((4, 3)),)),
        Example({"axis": 0, "start": 1, "stop": -1, "step": 2}, (TensorType((7, 4, 2)),)),
        Example({"axis": 1, "start": -2}, (TensorType((3, 4, 2)),)),
        Example({"axis": -1, "start": 2, "stop": 5}, (TensorType((2, 3, 6)),)),
        Example({"axis": 3, "step": 3}, (TensorType((2, 1, 3, 4)),)),
        Example({"axis": 2}, (TensorType((3, 4)),), raises="bad-axis"),
        Example({"axis": 0, "stop": 9}, (TensorType((3, 4)),), raises="slice-outside"),
        Example({"axis": 0, "start": -4}, (TensorType((3, 4)),), raises="slice-outside"),
        Example({"axis": 0, "start": 2, "stop": 2}, (TensorType((3, 4)),), raises="empty-slice"),
    )

    def span(self, x: TensorType) -> tuple[int, int, int]:
        """The axis, the first position and the one to stop before, counted from 0.

        Raises:
            DlrunError: When there is no such axis or position, or nothing in between.
        """
        axis = find_axis(self.kind, x, self.axis)
        length = x.shape[axis]
        stop = length if self.stop is None else self.stop
        for field, value in (("start", self.start), ("stop", stop)):
            if not -length <= value <= length:
                raise DlrunError(
                    "slice-outside",
                    f"`{value}` is outside axis {axis} of {x}, which has {length} positions.",
                    path=(field,),
                    hint=f"Use {-length} to {length}.",
                )
        start, stop = (v + length if v < 0 else v for v in (self.start, stop))
        if start >= stop:
            raise DlrunError(
                "empty-slice",
                f"nothing is left of axis {axis} of {x} from `{start}` to before `{stop}`.",
                path=("start",),
                hint="`stop` is the first position left out; make it larger than `start`.",
            )
        return axis, start, stop

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        axis, start, stop = self.span(x)
        return TensorType((*x.shape[:axis], -(-(stop - start) // self.step), *x.shape[axis + 1 :]), x.dtype)
