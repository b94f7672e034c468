"""Products of two inputs that sum over an axis."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Gt

from dlrun.errors import DlrunError
from dlrun.graph.layer import Example, Layer, layers, require_float
from dlrun.graph.tensor import TensorType


@layers("matmul")
class MatMul(Layer):
    """Matrix product of two inputs over their last two axes.

    y[…, i, j] = sum over k of a[…, i, k] b[…, k, j], with a the first input and b the second, each turned first
    if asked.

    Args:
        transpose_first: Whether a's last two axes change places.
        transpose_second: Whether b's do.

    Shapes: (N, *, I, K), (N, *, K, J) -> (N, *, I, J).
    Weights: none.
    Errors: wrong-input-count, wrong-rank, wrong-dtype, shape-mismatch.
    Differs: nothing.
    Source: none.
    """

    transpose_first: bool = False
    transpose_second: bool = False

    arity = (2, 2)
    examples = (
        Example({}, (TensorType((3, 4)), TensorType((4, 2)))),
        Example({"transpose_second": True}, (TensorType((2, 3, 4)), TensorType((2, 5, 4)))),
        Example({"transpose_first": True}, (TensorType((4, 3)), TensorType((4, 2)))),
        Example({}, (TensorType((3, 4)), TensorType((3, 4))), raises="shape-mismatch"),
        Example({}, (TensorType((2, 3, 4)), TensorType((4, 3))), raises="shape-mismatch"),
        Example({}, (TensorType((4,)), TensorType((4,))), raises="wrong-rank"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        a, b = inputs
        require_float(self.kind, a, b)
        if min(a.rank, b.rank) < 2:
            raise DlrunError(
                "wrong-rank",
                f"`matmul` needs matrices, got `{a}` and `{b}`.",
                hint="Use `dot` for vectors, or `reshape`.",
            )
        (i, k), (m, j) = a.shape[-2:], b.shape[-2:]
        (i, k), (m, j) = (k, i) if self.transpose_first else (i, k), (j, m) if self.transpose_second else (m, j)
        if k != m or a.shape[:-2] != b.shape[:-2]:
            raise DlrunError(
                "shape-mismatch",
                f"`matmul` cannot multiply `{a}` by `{b}`: {k} columns meet {m} rows."
                if k != m
                else f"`matmul` cannot multiply `{a}` by `{b}`: the axes before the last two differ.",
                hint="See `transpose_first` and `transpose_second`.",
            )
        return TensorType((*a.shape[:-2], i, j))

    def flops(self, *inputs: TensorType) -> int:
        a = inputs[0].shape
        return 2 * self.infer(*inputs).size * (a[-2] if self.transpose_first else a[-1])


@layers("dot")
class Dot(Layer):
    """Scalar product of two inputs over the last axis, or the cosine of their angle.

    y = sum over c of a[…, c] b[…, c], with a the first input and b the second; with normalize each is divided
    by max(its length, e) before, e being the epsilon.

    Args:
        normalize: Whether y is the cosine.
        epsilon: e, the shortest length divided by; above 0.

    Shapes: (N, *, C), (N, *, C) -> (N, *, 1).
    Weights: none.
    Errors: wrong-input-count, wrong-dtype, shape-mismatch.
    Differs: Keras adds its epsilon under the root; torch's default is 1e-8.
    Source: none.
    """

    normalize: bool = False
    epsilon: Annotated[float, Gt(0)] = 1e-8

    arity = (2, 2)
    examples = (
        Example({}, (TensorType((4,)), TensorType((4,)))),
        Example({}, (TensorType((2, 3, 4)), TensorType((2, 3, 4)))),
        Example({"normalize": True}, (TensorType((5,)), TensorType((5,)))),
        Example({"normalize": True}, (TensorType((3, 4)), TensorType((3, 4)))),
        Example({}, (TensorType((4,)), TensorType((3,))), raises="shape-mismatch"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        a, b = inputs
        require_float(self.kind, a, b)
        if a != b:
            raise DlrunError("shape-mismatch", f"`dot` needs inputs of one shape, got `{a}` and `{b}`.")
        return TensorType((*a.shape[:-1], 1))

    def flops(self, *inputs: TensorType) -> int:
        return (6 if self.normalize else 2) * inputs[0].size
