"""Maps made larger or smaller by interpolation."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Gt

from dlrun.errors import DlrunError
from dlrun.graph.layer import Composite, Example, Layer, layers, require_float
from dlrun.graph.tensor import TensorType

Size = Annotated[int, Gt(0)]
Factor = Annotated[float, Gt(0)]
Method = Literal["nearest", "bilinear"]


def taps(length: int, wanted: int, align_corners: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Linear interpolation along an axis: y[i] = (1 - w[i]) x[low[i]] + w[i] x[high[i]].

    Returns:
        low, high (int64) and w (float64), each (wanted,).
    """
    i = np.arange(wanted)
    centres = np.maximum((i + 0.5) * (length / wanted) - 0.5, 0)
    at = i * (length - 1) / max(wanted - 1, 1) if align_corners else centres
    low = np.minimum(np.floor(at).astype(np.int64), length - 1)
    return low, np.minimum(low + 1, length - 1), at - low


def nearest_cells(length: int, wanted: int) -> np.ndarray:
    """The cell that each of ``wanted`` positions takes its value from, int64 (wanted,)."""
    return np.minimum(((2 * np.arange(wanted) + 1) * length) // (2 * wanted), length - 1)


def matrix(length: int, wanted: int, method: Method, align_corners: bool) -> np.ndarray:
    """The interpolation along an axis as a matrix, float64 (wanted, length)."""
    rows, found = np.arange(wanted), np.zeros((wanted, length))
    if method == "nearest":
        found[rows, nearest_cells(length, wanted)] = 1
        return found
    low, high, w = taps(length, wanted, align_corners)
    np.add.at(found, (rows, low), 1 - w)
    np.add.at(found, (rows, high), w)
    return found


@layers("resize")
class Resize(Layer):
    """A map of another size, by interpolation along every axis but the last.

    y[i] = x at (i + 1/2) n / m - 1/2, with n the old and m the new length of an axis; x between cells is the
    nearest cell's (`nearest`) or on the straight line between both (`bilinear`), and beyond them the last cell's.
    With align_corners it is x at i (n - 1) / (m - 1). Nothing is averaged when a map gets smaller.

    Args:
        size: New length of each axis but the last, or one number for all.
        scale: Factor to the old length instead, rounded down to whole cells, or one for each axis.
        method: How to read between cells.
        align_corners: Whether first and last cells' centres stay where they are; `bilinear` only.

    Shapes: (N, n, *, C) -> (N, m, *, C).
    Weights: none.
    Errors: wrong-rank, wrong-dtype, size-or-scale, empty-size, align-corners-nearest.
    Differs: torch's `nearest` reads i n / m; TensorFlow interpolates in float32 always.
    Source: none.
    """

    size: Size | tuple[Size, ...] | None = None
    scale: Factor | tuple[Factor, ...] | None = None
    method: Method = "bilinear"
    align_corners: bool = False

    examples = (
        Example({"size": (7, 5)}, (TensorType((4, 3, 2)),)),
        Example({"size": 3}, (TensorType((8, 7, 2)),)),
        Example({"scale": 2.0}, (TensorType((3, 4, 2)),)),
        Example({"size": (7, 1), "align_corners": True}, (TensorType((4, 3, 2)),)),
        Example({"scale": (1.5, 0.5), "method": "nearest"}, (TensorType((4, 6, 2)),)),
        Example({"size": (9, 5), "method": "nearest"}, (TensorType((4, 7, 2)),)),
        Example({"size": 11}, (TensorType((4, 3)),)),
        Example({"size": 5, "align_corners": True}, (TensorType((3, 2)),)),
        Example({"size": 3, "method": "nearest"}, (TensorType((5, 3)),)),
        Example({"size": (3, 5, 4)}, (TensorType((2, 3, 3, 2)),)),
        Example({"scale": 2.0, "method": "nearest"}, (TensorType((2, 3, 2, 2)),)),
        Example({"size": 3}, (TensorType((4,)),), raises="wrong-rank"),
        Example({"size": (3, 3)}, (TensorType((4, 2)),), raises="wrong-rank"),
        Example({}, (TensorType((4, 3, 2)),), raises="size-or-scale"),
        Example({"size": 3, "scale": 2.0}, (TensorType((4, 3, 2)),), raises="size-or-scale"),
        Example({"scale": 0.2}, (TensorType((4, 3, 2)),), raises="empty-size"),
        Example(
            {"size": 3, "method": "nearest", "align_corners": True},
            (TensorType((4, 3, 2)),),
            raises="align-corners-nearest",
        ),
        Example({"size": 3}, (TensorType((4, 3), "int"),), raises="wrong-dtype"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require_float(self.kind, x)
        if (self.size is None) == (self.scale is None):
            raise DlrunError(
                "size-or-scale",
                f"`resize` needs `size` or `scale`, got {'neither' if self.size is None else 'both'}.",
                hint="`size` is in cells, `scale` a factor.",
            )
        if self.align_corners and self.method == "nearest":
            raise DlrunError(
                "align-corners-nearest",
                "`align_corners` needs `method: bilinear`; the nearest cell is found from centres.",
                path=("align_corners",),
            )
        if self.size is not None:
            return TensorType((*(int(s) for s in _each("size", self.size, x)), x.shape[-1]))
        assert self.scale is not None
        size = [int(n * f) for n, f in zip(x.shape, _each("scale", self.scale, x), strict=False)]
        if 0 in size:
            raise DlrunError(
                "empty-size",
                f"`scale: {self.scale}` leaves no cell of axis {size.index(0)} of {x}.",
                path=("scale",),
                hint="Use a larger factor.",
            )
        return TensorType((*size, x.shape[-1]))

    def flops(self, *inputs: TensorType) -> int:
        return 0 if self.method == "nearest" else 3 * (inputs[0].rank - 1) * self.infer(*inputs).size


def _each(field: str, value: float | tuple[float, ...], x: TensorType) -> tuple[float, ...]:
    """One number per axis but the last."""
    found = value if isinstance(value, tuple) else (value,) * (x.rank - 1)
    if len(found) != x.rank - 1 or not found:
        raise DlrunError(
            "wrong-rank",
            f"`{field}: {value}` does not fit {x}, which has {x.rank - 1} axes before the last.",
            path=(field,),
            hint="Give one number, or one for each axis that is resized.",
        )
    return found


@layers("upsample")
class Upsample(Composite):
    """Each cell several times, or interpolation to a multiple of the size; `resize` by whole factors.

    y[i] = x[i // f], with f the factor (`nearest`).

    Args:
        factor: f for every axis but the last, or one for each.
        method: `nearest` repeats, `bilinear` interpolates.

    Shapes: (N, n, *, C) -> (N, f n, *, C).
    Weights: none.
    Errors: wrong-rank, wrong-dtype.
    Differs: nothing.
    Source: none.
    """

    known_as = ("up_sampling2d", "up_sampling1d", "up_sampling3d")

    factor: Size | tuple[Size, ...] = 2
    method: Method = "nearest"

    examples = (
        Example({}, (TensorType((3, 4, 2)),)),
        Example({"factor": (1, 3)}, (TensorType((3, 4, 2)),)),
        Example({"factor": 3}, (TensorType((4, 2)),)),
        Example({"method": "bilinear"}, (TensorType((3, 4, 2)),)),
        Example({"factor": 2}, (TensorType((2, 3, 2, 2)),)),
        Example({"factor": (2, 2)}, (TensorType((4, 2)),), raises="wrong-rank"),
        Example({}, (TensorType((4,)),), raises="wrong-rank"),
    )

    def expand(self, sub: Any, *inputs: str) -> str:
        x: TensorType = sub.type(inputs[0])
        factors = _each("factor", self.factor, x)
        size = tuple(n * int(f) for n, f in zip(x.shape, factors, strict=False))
        result: str = sub.add("resize", inputs[0], size=size, method=self.method)
        return result
