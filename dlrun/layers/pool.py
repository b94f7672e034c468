"""Pooling over windows that slide."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from dlrun.described import described
from dlrun.errors import DlrunError
from dlrun.graph.layer import Example, Layer, layers
from dlrun.graph.tensor import TensorType
from dlrun.layers.window import (
    Padding,
    Padding1,
    Padding2,
    Padding3,
    Positive,
    Size2,
    Size3,
    Window,
    per_axis,
    require_grid,
)


@described
class Pool(Layer):
    """What pooling over any number of axes has in common."""

    rank: ClassVar[int]

    size: int | tuple[int, ...]
    stride: int | tuple[int, ...] | None = None
    padding: Padding = "valid"
    ceil: bool = False

    def window(self) -> Window:
        """The window; without a stride, windows stand side by side."""
        size = per_axis(self.size, self.rank)
        stride = size if self.stride is None else per_axis(self.stride, self.rank)
        return Window(size, stride, (1,) * self.rank, self.padding, self.ceil)

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require_grid(self.kind, x, self.rank)
        window = self.window()
        found = window.check(self.kind, x)
        for size, (before, after) in zip(window.size, window.pads(x.shape[: self.rank]), strict=True):
            if max(before, after) >= size:
                raise DlrunError(
                    "padding-too-large",
                    f"`{self.kind}` adds `{max(before, after)}` cells on one side of an axis where its window has "
                    f"{size}; a window of padding alone has no value.",
                    path=("padding",),
                    hint="Use a padding below the window's size.",
                )
        return TensorType((*found, x.shape[-1]))

    def flops(self, *inputs: TensorType) -> int:
        return self.infer(*inputs).size * math.prod(self.window().size)


@described
class AvgPool(Pool):
    """What averages over windows have in common."""

    count_padding: bool = False

    def cells(self, shape: tuple[int, ...]) -> np.ndarray:
        """How many cells each window is divided by, for samples of ``shape``: (positions..., 1)."""
        window, spatial = self.window(), shape[: self.rank]
        total = np.ones(1)
        for n, k, s, count, (before, after) in zip(
            spatial, window.size, window.stride, window.positions(spatial), window.pads(spatial), strict=True
        ):
            low, high = (-before, n + after) if self.count_padding else (0, n)
            start = np.arange(count) * s - before
            along = np.minimum(start + k, high) - np.maximum(start, low)
            total = total[..., None] * along
        return total.reshape(*window.positions(spatial), 1).astype(np.float64)


_EXAMPLES_1D = (
    Example({"size": 2}, (TensorType((7, 3)),)),
    Example({"size": 3, "stride": 2, "padding": "same"}, (TensorType((8, 2)),)),
    Example({"size": 3, "stride": 2, "padding": 1, "ceil": True}, (TensorType((6, 2)),)),
    Example({"size": 2, "stride": 3, "ceil": True}, (TensorType((6, 2)),)),
    Example({"size": 9}, (TensorType((8, 1)),), raises="window-too-large"),
    Example({"size": 2}, (TensorType((8,)),), raises="wrong-rank"),
    Example({"size": 2, "padding": 2}, (TensorType((8, 2)),), raises="padding-too-large"),
)
_EXAMPLES_2D = (
    Example({"size": 2}, (TensorType((8, 6, 3)),)),
    Example({"size": 3, "stride": 2, "padding": "same"}, (TensorType((8, 7, 2)),)),
    Example({"size": 3, "stride": 1, "padding": "same"}, (TensorType((4, 5, 2)),)),
    Example({"size": (2, 3), "stride": 1}, (TensorType((5, 6, 2)),)),
    Example({"size": 3, "stride": 2, "padding": 1}, (TensorType((8, 7, 2)),)),
    Example({"size": 3, "stride": 2, "ceil": True}, (TensorType((8, 6, 2)),)),
    Example({"size": 3, "stride": 2, "padding": ((2, 0), (0, 1)), "ceil": True}, (TensorType((6, 6, 2)),)),
    Example({"size": 9}, (TensorType((8, 8, 1)),), raises="window-too-large"),
    Example({"size": 2}, (TensorType((8,)),), raises="wrong-rank"),
    Example({"size": 2, "padding": (0, 2)}, (TensorType((8, 8, 1)),), raises="padding-too-large"),
)
_EXAMPLES_3D = (
    Example({"size": 2}, (TensorType((4, 3, 5, 2)),)),
    Example({"size": 3, "stride": 2, "padding": "same"}, (TensorType((4, 3, 4, 2)),)),
    Example({"size": (1, 2, 3), "stride": (1, 2, 1), "padding": (0, 1, 1)}, (TensorType((2, 4, 3, 2)),)),
    Example({"size": 3, "stride": 2, "ceil": True}, (TensorType((4, 3, 6, 2)),)),
    Example({"size": 4}, (TensorType((4, 3, 5, 2)),), raises="window-too-large"),
    Example({"size": 2}, (TensorType((4, 3, 2)),), raises="wrong-rank"),
    Example({"size": 2, "padding": ((0, 0), (0, 0), (0, 2))}, (TensorType((4, 3, 5, 2)),), raises="padding-too-large"),
)


@layers("max_pool1d")
class MaxPool1D(Pool):
    """Largest value of each window of a sequence.

    y[i, c] = max over u of x[i s + u, c], with s the stride; padded positions count as minus
    infinity, and of equal values the first one receives the gradient.

    Args:
        size: Positions of a window.
        stride: Step between windows; the window's own size when left out.
        padding: ``valid``, ``same`` (odd position after), a number for both sides, or [[before, after]].
        ceil: Whether a last window may reach beyond the end.

    Shapes: (N, L, C) -> (N, L', C).
    Weights: none.
    Errors: wrong-rank, wrong-dtype, window-too-large, padding-too-large.
    Differs: torch keeps sequences as (N, C, L).
    Source: Riesenhuber & Poggio 1999.
    """

    rank = 1

    size: Positive
    stride: Positive | None = None
    padding: Padding1 = "valid"
    ceil: bool = False
    examples = _EXAMPLES_1D


@layers("max_pool2d")
class MaxPool2D(Pool):
    """Largest value of each window.

    y[i, j, c] = max over u, v of x[i s + u, j s + v, c], with s the stride; padded cells count
    as minus infinity, and of equal values the first one receives the gradient.

    Args:
        size: Window height and width in cells, or one number for both.
        stride: Step between windows; the window's own size when left out.
        padding: ``valid``, ``same`` (odd cell after), a number for every side, one per axis, or [before, after]
            per axis.
        ceil: Whether a last window may reach beyond the end.

    Shapes: (N, H, W, C) -> (N, H', W', C).
    Weights: none.
    Errors: wrong-rank, wrong-dtype, window-too-large, padding-too-large.
    Differs: torch pads symmetrically; `same` is padded here before pooling.
    Source: Riesenhuber & Poggio 1999.
    """

    known_as = ("max_pool", "max_pooling")

    rank = 2

    size: Size2
    stride: Size2 | None = None
    padding: Padding2 = "valid"
    ceil: bool = False
    examples = _EXAMPLES_2D


@layers("max_pool3d")
class MaxPool3D(Pool):
    """Largest value of each window of a volume.

    y[h, i, j, c] = max over t, u, v of x[h s + t, i s + u, j s + v, c], with s the stride; padded cells
    count as minus infinity, and of equal values the first one receives the gradient.

    Args:
        size: Window depth, height and width in cells, or one number for all.
        stride: Step between windows; the window's own size when left out.
        padding: ``valid``, ``same`` (odd cell after), a number for every side, one per axis, or [before, after]
            per axis.
        ceil: Whether a last window may reach beyond the end.

    Shapes: (N, D, H, W, C) -> (N, D', H', W', C).
    Weights: none.
    Errors: wrong-rank, wrong-dtype, window-too-large, padding-too-large.
    Differs: torch keeps volumes as (N, C, D, H, W).
    Source: Riesenhuber & Poggio 1999.
    """

    rank = 3

    size: Size3
    stride: Size3 | None = None
    padding: Padding3 = "valid"
    ceil: bool = False
    examples = _EXAMPLES_3D


@layers("avg_pool1d")
class AvgPool1D(AvgPool):
    """Mean of each window of a sequence.

    y[i, c] = mean over u of x[i s + u, c], with s the stride; padded positions are not counted
    unless told otherwise.

    Args:
        size: Positions of a window.
        stride: Step between windows; the window's own size when left out.
        padding: ``valid``, ``same`` (odd position after), a number for both sides, or [[before, after]].
        ceil: Whether a last window may reach beyond the end; what is beyond is never counted.
        count_padding: Whether padded positions count, as zeros.

    Shapes: (N, L, C) -> (N, L', C).
    Weights: none.
    Errors: wrong-rank, wrong-dtype, window-too-large, padding-too-large.
    Differs: torch counts padded positions unless told otherwise (`count_include_pad`).
    Source: LeCun et al. 1989.
    """

    rank = 1

    size: Positive
    stride: Positive | None = None
    padding: Padding1 = "valid"
    ceil: bool = False
    count_padding: bool = False
    examples = (
        *_EXAMPLES_1D,
        Example({"size": 3, "stride": 2, "padding": 1, "count_padding": True}, (TensorType((6, 2)),)),
    )


@layers("avg_pool2d")
class AvgPool2D(AvgPool):
    """Mean of each window.

    y[i, j, c] = mean over u, v of x[i s + u, j s + v, c], with s the stride; padded cells are
    not counted unless told otherwise.

    Args:
        size: Window height and width in cells, or one number for both.
        stride: Step between windows; the window's own size when left out.
        padding: ``valid``, ``same`` (odd cell after), a number for every side, one per axis, or [before, after]
            per axis.
        ceil: Whether a last window may reach beyond the end; what is beyond is never counted.
        count_padding: Whether padded cells count, as zeros.

    Shapes: (N, H, W, C) -> (N, H', W', C).
    Weights: none.
    Errors: wrong-rank, wrong-dtype, window-too-large, padding-too-large.
    Differs: torch counts padded cells unless told otherwise (`count_include_pad`).
    Source: LeCun et al. 1989.
    """

    known_as = ("avg_pool", "average_pool", "average_pooling")

    rank = 2

    size: Size2
    stride: Size2 | None = None
    padding: Padding2 = "valid"
    ceil: bool = False
    count_padding: bool = False
    examples = (
        *_EXAMPLES_2D,
        Example({"size": 3, "stride": 1, "padding": 1, "count_padding": True}, (TensorType((4, 5, 2)),)),
        Example(
            {"size": 3, "stride": 2, "padding": ((1, 0), (0, 2)), "count_padding": True, "ceil": True},
            (TensorType((5, 6, 2)),),
        ),
    )


@layers("avg_pool3d")
class AvgPool3D(AvgPool):
    """Mean of each window of a volume.

    y[h, i, j, c] = mean over t, u, v of x[h s + t, i s + u, j s + v, c], with s the stride; padded cells
    are not counted unless told otherwise.

    Args:
        size: Window depth, height and width in cells, or one number for all.
        stride: Step between windows; the window's own size when left out.
        padding: ``valid``, ``same`` (odd cell after), a number for every side, one per axis, or [before, after]
            per axis.
        ceil: Whether a last window may reach beyond the end; what is beyond is never counted.
        count_padding: Whether padded cells count, as zeros.

    Shapes: (N, D, H, W, C) -> (N, D', H', W', C).
    Weights: none.
    Errors: wrong-rank, wrong-dtype, window-too-large, padding-too-large.
    Differs: torch counts padded cells unless told otherwise (`count_include_pad`).
    Source: LeCun et al. 1989.
    """

    rank = 3

    size: Size3
    stride: Size3 | None = None
    padding: Padding3 = "valid"
    ceil: bool = False
    count_padding: bool = False
    examples = (
        *_EXAMPLES_3D,
        Example({"size": 2, "stride": 1, "padding": 1, "count_padding": True}, (TensorType((2, 3, 4, 2)),)),
    )
