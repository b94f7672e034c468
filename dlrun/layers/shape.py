"""Layers that only rearrange."""

from __future__ import annotations

import math

from dlrun.errors import DlrunError
from dlrun.graph.layer import Example, Layer, layers
from dlrun.graph.tensor import TensorType


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
                f"`reshape` cannot turn {x.size} elements {x} into {list(self.shape)}.",
                path=("shape",),
                hint="The product of the new axes must equal the number of elements; one axis may be -1.",
            )
        return TensorType(tuple(x.size // known if a == -1 else a for a in self.shape), x.dtype)
