"""Pooling over windows and over whole feature maps."""

from __future__ import annotations

from dlrun.graph.layer import Example, Layer, layers, pair, require_rank
from dlrun.graph.tensor import TensorType
from dlrun.layers.conv import Padding, Size2, positions

_EXAMPLES = (
    Example({"size": 2}, (TensorType((8, 6, 3)),)),
    Example({"size": 3, "stride": 2, "padding": "same"}, (TensorType((8, 7, 2)),)),
    Example({"size": 3, "stride": 1, "padding": "same"}, (TensorType((4, 5, 2)),)),
    Example({"size": (2, 3), "stride": 1}, (TensorType((5, 6, 2)),)),
    Example({"size": 9}, (TensorType((8, 8, 1)),), raises="window-too-large"),
    Example({"size": 2}, (TensorType((8,)),), raises="wrong-rank"),
)


class _Pool2D(Layer):
    size: Size2
    stride: Size2 | None = None
    padding: Padding = "valid"

    def window(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """The window's (height, width) and its stride."""
        size = pair(self.size)
        return size, size if self.stride is None else pair(self.stride)

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require_rank(self.kind, x, 3, "height, width, channels")
        size, stride = self.window()
        return TensorType((*positions(self.kind, x, size, stride, (1, 1), self.padding), x.shape[-1]))

    def flops(self, *inputs: TensorType) -> int:
        size, _ = self.window()
        return self.infer(*inputs).size * size[0] * size[1]


@layers("max_pool2d")
class MaxPool2D(_Pool2D):
    """Largest value of each window.

    y[i, j, c] = max over u, v of x[i s + u, j s + v, c], with s the stride; padded cells count
    as minus infinity, and of equal values the first one receives the gradient.

    Args:
        size: Window height and width in cells, or one number for both.
        stride: Step between windows; the window's own size when left out.
        padding: ``valid`` or ``same`` (odd cell after).

    Shapes: (N, H, W, C) -> (N, H', W', C).
    Weights: none.
    Errors: wrong-rank, window-too-large.
    Differs: torch pads symmetrically; `same` is padded here before pooling.
    Source: Riesenhuber & Poggio 1999.
    """

    size: Size2
    stride: Size2 | None = None
    padding: Padding = "valid"
    examples = _EXAMPLES


@layers("avg_pool2d")
class AvgPool2D(_Pool2D):
    """Mean of each window's real cells.

    y[i, j, c] = mean over u, v of x[i s + u, j s + v, c], with s the stride; padded cells are
    not counted.

    Args:
        size: Window height and width in cells, or one number for both.
        stride: Step between windows; the window's own size when left out.
        padding: ``valid`` or ``same`` (odd cell after).

    Shapes: (N, H, W, C) -> (N, H', W', C).
    Weights: none.
    Errors: wrong-rank, window-too-large.
    Differs: torch counts padded cells unless told otherwise (`count_include_pad`).
    Source: LeCun et al. 1989.
    """

    size: Size2
    stride: Size2 | None = None
    padding: Padding = "valid"
    examples = _EXAMPLES


class _GlobalPool2D(Layer):
    examples = (
        Example({}, (TensorType((4, 5, 3)),)),
        Example({}, (TensorType((4,)),), raises="wrong-rank"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require_rank(self.kind, x, 3, "height, width, channels")
        return TensorType((x.shape[-1],))

    def flops(self, *inputs: TensorType) -> int:
        return inputs[0].size


@layers("global_avg_pool2d")
class GlobalAvgPool2D(_GlobalPool2D):
    """Mean over height and width.

    y[c] = mean over i, j of x[i, j, c].

    Args: none.

    Shapes: (N, H, W, C) -> (N, C).
    Weights: none.
    Errors: wrong-rank.
    Differs: nothing.
    Source: Lin, Chen & Yan 2013.
    """


@layers("global_max_pool2d")
class GlobalMaxPool2D(_GlobalPool2D):
    """Largest value over height and width.

    y[c] = max over i, j of x[i, j, c]; equal values share the gradient equally.

    Args: none.

    Shapes: (N, H, W, C) -> (N, C).
    Weights: none.
    Errors: wrong-rank.
    Differs: `torch.max` gives the whole gradient to one of equal values; `amax` is used.
    Source: Oquab et al. 2015.
    """
