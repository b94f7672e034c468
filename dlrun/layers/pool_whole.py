"""Pooling to a number of cells that the input's size does not change, and to a single one."""

from __future__ import annotations

from typing import ClassVar

from dlrun.described import described
from dlrun.graph.layer import Example, Layer, layers, require_mask
from dlrun.graph.tensor import TensorType
from dlrun.layers.window import Positive, Size2, Size3, Window, per_axis, require_grid


@described
class AdaptivePool(Layer):
    """What pooling to a fixed number of cells has in common."""

    rank: ClassVar[int]

    size: int | tuple[int, ...]

    def bins(self, spatial: tuple[int, ...]) -> tuple[tuple[tuple[int, int], ...], ...]:
        """For each axis and each output cell, the first input cell it reads and the one after its last."""
        return tuple(
            tuple((i * n // count, -(-(i + 1) * n // count)) for i in range(count))
            for n, count in zip(spatial, per_axis(self.size, self.rank), strict=True)
        )

    def even(self, spatial: tuple[int, ...]) -> Window | None:
        """The window that does the same, where the input's size is a multiple of the output's."""
        size = per_axis(self.size, self.rank)
        if any(n % count for n, count in zip(spatial, size, strict=True)):
            return None
        step = tuple(n // count for n, count in zip(spatial, size, strict=True))
        return Window(step, step, (1,) * self.rank, "valid")

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require_grid(self.kind, x, self.rank)
        return TensorType((*per_axis(self.size, self.rank), x.shape[-1]))

    def flops(self, *inputs: TensorType) -> int:
        return inputs[0].size


_ADAPTIVE_1D = (
    Example({"size": 3}, (TensorType((7, 2)),)),
    Example({"size": 3}, (TensorType((6, 2)),)),
    Example({"size": 5}, (TensorType((3, 2)),)),
    Example({"size": 2}, (TensorType((8, 8, 2)),), raises="wrong-rank"),
)
_ADAPTIVE_2D = (
    Example({"size": 3}, (TensorType((7, 5, 2)),)),
    Example({"size": (2, 3)}, (TensorType((4, 9, 2)),)),
    Example({"size": 1}, (TensorType((4, 5, 3)),)),
    Example({"size": (4, 2)}, (TensorType((1, 3, 2)),)),
    Example({"size": 2}, (TensorType((8, 2)),), raises="wrong-rank"),
)
_ADAPTIVE_3D = (
    Example({"size": 2}, (TensorType((3, 4, 5, 2)),)),
    Example({"size": (1, 2, 3)}, (TensorType((3, 2, 3, 2)),)),
    Example({"size": 2}, (TensorType((8, 8, 2)),), raises="wrong-rank"),
)


@layers("adaptive_avg_pool1d")
class AdaptiveAvgPool1D(AdaptivePool):
    """Means of a fixed number of stretches of a sequence.

    y[i, c] = mean of x[floor(i n / k), c] … x[ceil((i + 1) n / k) - 1, c], with n the length and k the size.

    Args:
        size: k, output positions.

    Shapes: (N, L, C) -> (N, k, C).
    Weights: none.
    Errors: wrong-rank, wrong-dtype.
    Differs: Keras before 3.12 has no such layer.
    Source: He et al. 2014 (bins as in torch).
    """

    rank = 1

    size: Positive
    examples = _ADAPTIVE_1D


@layers("adaptive_avg_pool2d")
class AdaptiveAvgPool2D(AdaptivePool):
    """Means of a fixed grid of rectangles.

    y[i, j, c] = mean of x over rows floor(i h / k) to ceil((i + 1) h / k) - 1 and columns alike, with h the
    height and k the size.

    Args:
        size: k, output height and width in cells, or one number for both.

    Shapes: (N, H, W, C) -> (N, *size, C).
    Weights: none.
    Errors: wrong-rank, wrong-dtype.
    Differs: Keras before 3.12 has no such layer.
    Source: He et al. 2014 (bins as in torch).
    """

    rank = 2

    size: Size2
    examples = _ADAPTIVE_2D


@layers("adaptive_avg_pool3d")
class AdaptiveAvgPool3D(AdaptivePool):
    """Means of a fixed grid of boxes.

    y[h, i, j, c] = mean of x over cells floor(h d / k) to ceil((h + 1) d / k) - 1 of each axis, with d the
    axis' length and k the size.

    Args:
        size: k, output depth, height and width in cells, or one number for all.

    Shapes: (N, D, H, W, C) -> (N, *size, C).
    Weights: none.
    Errors: wrong-rank, wrong-dtype.
    Differs: Keras before 3.12 has no such layer.
    Source: He et al. 2014 (bins as in torch).
    """

    rank = 3

    size: Size3
    examples = _ADAPTIVE_3D


@layers("adaptive_max_pool1d")
class AdaptiveMaxPool1D(AdaptivePool):
    """Largest values of a fixed number of stretches of a sequence.

    y[i, c] = max of x[floor(i n / k), c] … x[ceil((i + 1) n / k) - 1, c], with n the length and k the size;
    of equal values the first one receives the gradient.

    Args:
        size: k, output positions.

    Shapes: (N, L, C) -> (N, k, C).
    Weights: none.
    Errors: wrong-rank, wrong-dtype.
    Differs: Keras before 3.12 has no such layer.
    Source: He et al. 2014 (bins as in torch).
    """

    rank = 1

    size: Positive
    examples = _ADAPTIVE_1D


@layers("adaptive_max_pool2d")
class AdaptiveMaxPool2D(AdaptivePool):
    """Largest values of a fixed grid of rectangles.

    y[i, j, c] = max of x over rows floor(i h / k) to ceil((i + 1) h / k) - 1 and columns alike, with h the
    height and k the size; of equal values the first one receives the gradient.

    Args:
        size: k, output height and width in cells, or one number for both.

    Shapes: (N, H, W, C) -> (N, *size, C).
    Weights: none.
    Errors: wrong-rank, wrong-dtype.
    Differs: Keras before 3.12 has no such layer.
    Source: He et al. 2014 (bins as in torch).
    """

    rank = 2

    size: Size2
    examples = _ADAPTIVE_2D


@layers("adaptive_max_pool3d")
class AdaptiveMaxPool3D(AdaptivePool):
    """Largest values of a fixed grid of boxes.

    y[h, i, j, c] = max of x over cells floor(h d / k) to ceil((h + 1) d / k) - 1 of each axis, with d the
    axis' length and k the size; of equal values the first one receives the gradient.

    Args:
        size: k, output depth, height and width in cells, or one number for all.

    Shapes: (N, D, H, W, C) -> (N, *size, C).
    Weights: none.
    Errors: wrong-rank, wrong-dtype.
    Differs: Keras before 3.12 has no such layer.
    Source: He et al. 2014 (bins as in torch).
    """

    rank = 3

    size: Size3
    examples = _ADAPTIVE_3D


@described
class GlobalPool(Layer):
    """What pooling over all cells has in common."""

    rank: ClassVar[int]

    def infer(self, *inputs: TensorType) -> TensorType:
        x, *mask = inputs
        require_grid(self.kind, x, self.rank)
        for m in mask:
            require_mask(self.kind, m, x.shape[0])
        return TensorType((x.shape[-1],))

    def flops(self, *inputs: TensorType) -> int:
        return inputs[0].size


_GLOBAL_1D = (
    Example({}, (TensorType((5, 3)),)),
    Example({}, (TensorType((5, 3)), TensorType((5,), "int"))),
    Example({}, (TensorType((4,)),), raises="wrong-rank"),
    Example({}, (TensorType((5, 3)), TensorType((4,), "int")), raises="mask-length"),
    Example({}, (TensorType((5, 3)), TensorType((5,))), raises="wrong-dtype"),
)
_GLOBAL_2D = (
    Example({}, (TensorType((4, 5, 3)),)),
    Example({}, (TensorType((4,)),), raises="wrong-rank"),
)
_GLOBAL_3D = (
    Example({}, (TensorType((2, 4, 3, 3)),)),
    Example({}, (TensorType((4, 5, 3)),), raises="wrong-rank"),
)


@layers("global_avg_pool1d")
class GlobalAvgPool1D(GlobalPool):
    """Mean over a sequence, or over the positions a mask keeps.

    y[c] = sum over i of m[i] x[i, c] / max(sum over i of m[i], 1), with m the mask: 1 to keep a position
    and 0 to drop it, all 1 when left out.

    Args: none.

    Shapes: (N, L, C), optionally with a mask (N, L) -> (N, C).
    Weights: none.
    Errors: wrong-rank, wrong-dtype, mask-length.
    Differs: Keras divides by zero where a mask keeps nothing; here the mean is 0.
    Source: Lin, Chen & Yan 2013.
    """

    rank = 1
    arity = (1, 2)
    examples = _GLOBAL_1D


@layers("global_avg_pool2d")
class GlobalAvgPool2D(GlobalPool):
    """Mean over height and width.

    y[c] = mean over i, j of x[i, j, c].

    Args: none.

    Shapes: (N, H, W, C) -> (N, C).
    Weights: none.
    Errors: wrong-rank, wrong-dtype.
    Differs: nothing.
    Source: Lin, Chen & Yan 2013.
    """

    known_as = ("gap", "global_avg_pool", "global_average_pooling", "global_average_pooling2d")

    rank = 2
    examples = _GLOBAL_2D


@layers("global_avg_pool3d")
class GlobalAvgPool3D(GlobalPool):
    """Mean over depth, height and width.

    y[c] = mean over h, i, j of x[h, i, j, c].

    Args: none.

    Shapes: (N, D, H, W, C) -> (N, C).
    Weights: none.
    Errors: wrong-rank, wrong-dtype.
    Differs: nothing.
    Source: Lin, Chen & Yan 2013.
    """

    rank = 3
    examples = _GLOBAL_3D


@layers("global_max_pool1d")
class GlobalMaxPool1D(GlobalPool):
    """Largest value over a sequence, or over the positions a mask keeps.

    y[c] = max over i with m[i] = 1 of x[i, c], with m the mask: 1 to keep a position and 0 to drop it, all 1
    when left out; 0 where it keeps nothing. Equal values share the gradient equally.

    Args: none.

    Shapes: (N, L, C), optionally with a mask (N, L) -> (N, C).
    Weights: none.
    Errors: wrong-rank, wrong-dtype, mask-length.
    Differs: `torch.max` gives the whole gradient to one of equal values; Keras' layer takes no mask.
    Source: Collobert et al. 2011.
    """

    rank = 1
    arity = (1, 2)
    examples = _GLOBAL_1D


@layers("global_max_pool2d")
class GlobalMaxPool2D(GlobalPool):
    """Largest value over height and width.

    y[c] = max over i, j of x[i, j, c]; equal values share the gradient equally.

    Args: none.

    Shapes: (N, H, W, C) -> (N, C).
    Weights: none.
    Errors: wrong-rank, wrong-dtype.
    Differs: `torch.max` gives the whole gradient to one of equal values; `amax` is used.
    Source: Oquab et al. 2015.
    """

    known_as = ("global_max_pool", "global_max_pooling")

    rank = 2
    examples = _GLOBAL_2D


@layers("global_max_pool3d")
class GlobalMaxPool3D(GlobalPool):
    """Largest value over depth, height and width.

    y[c] = max over h, i, j of x[h, i, j, c]; equal values share the gradient equally.

    Args: none.

    Shapes: (N, D, H, W, C) -> (N, C).
    Weights: none.
    Errors: wrong-rank, wrong-dtype.
    Differs: `torch.max` gives the whole gradient to one of equal values; `amax` is used.
    Source: Oquab et al. 2015.
    """

    rank = 3
    examples = _GLOBAL_3D
