"""Convolutions, and the padding arithmetic they share with pooling."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Gt

from dlrun.errors import DlrunError
from dlrun.graph.layer import Example, Layer, Weight, layers, pair, require_rank
from dlrun.graph.tensor import TensorType
from dlrun.initializers import check_initializer

Positive = Annotated[int, Gt(0)]
Size2 = Positive | tuple[Positive, Positive]
Padding = Literal["valid", "same"]
Pads = tuple[tuple[int, int], tuple[int, int]]
"""Cells added (before, after) on each spatial axis."""


def pads(
    shape: tuple[int, ...], size: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int], padding: Padding
) -> Pads:
    """Cells added before and after each spatial axis.

    ``same`` keeps ``ceil(n / stride)`` positions and puts the odd cell after, as TensorFlow does.
    """
    if padding == "valid":
        return (0, 0), (0, 0)
    result = []
    for n, k, s, d in zip(shape[:2], size, stride, dilation, strict=True):
        total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        result.append((total // 2, total - total // 2))
    return result[0], result[1]


def positions(
    kind: str,
    x: TensorType,
    size: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: Padding,
) -> tuple[int, int]:
    """Output height and width of a sliding window.

    Raises:
        DlrunError: ``window-too-large`` when it does not fit the input.
    """
    result = []
    added = pads(x.shape, size, stride, dilation, padding)
    for n, k, s, d, (before, after), axis in zip(
        x.shape[:2], size, stride, dilation, added, ("height", "width"), strict=True
    ):
        span = (k - 1) * d + 1
        if n + before + after < span:
            raise DlrunError(
                "window-too-large",
                f"`{kind}` window spans {span} cells but the input's {axis} is {n} (input {x}).",
                hint="Use a smaller window, `padding: same`, or fewer pooling layers before it.",
            )
        result.append((n + before + after - span) // s + 1)
    return result[0], result[1]


@layers("conv2d")
class Conv2D(Layer):
    """Two-dimensional cross-correlation.

    y[i, j, o] = b[o] + sum over u, v, c of x[i s + u d, j s + v d, c] W[u, v, c, o], with s the
    stride, d the dilation, W the kernel and b the bias.

    Args:
        filters: Output channels.
        kernel: Window height and width in cells, or one number for both.
        stride: Step between windows, in cells.
        dilation: Distance between the kernel's taps, in cells.
        padding: ``valid`` adds nothing; ``same`` keeps ceil(n / stride) positions, odd cell after.
        activation: Element-wise layer applied to y, or none.
        bias: Whether b is added.
        kernel_initializer: How W starts.
        bias_initializer: How b starts.

    Shapes: (N, H, W, C) -> (N, H', W', filters).
    Weights: ``kernel`` (kh, kw, C, filters); ``bias`` (filters,).
    Errors: wrong-rank, window-too-large, unknown-initializer.
    Differs: torch's `padding=1` on an even input with stride 2 pads before instead of after.
    Source: LeCun et al. 1989.
    """

    filters: Positive
    kernel: Size2
    stride: Size2 = 1
    dilation: Size2 = 1
    padding: Padding = "valid"
    activation: str | None = None
    bias: bool = True
    kernel_initializer: str = "glorot_uniform"
    bias_initializer: str = "zeros"

    examples = (
        Example({"filters": 4, "kernel": 3}, (TensorType((8, 7, 3)),)),
        Example({"filters": 4, "kernel": 3, "padding": "same", "activation": "relu"}, (TensorType((8, 8, 3)),)),
        Example({"filters": 2, "kernel": 3, "padding": "same", "stride": 2}, (TensorType((8, 7, 3)),)),
        Example(
            {"filters": 2, "kernel": (2, 3), "padding": "same", "stride": (2, 1), "bias": False},
            (TensorType((9, 6, 2)),),
        ),
        Example({"filters": 2, "kernel": 3, "dilation": 2}, (TensorType((9, 8, 2)),)),
        Example({"filters": 2, "kernel": 3, "dilation": 2, "stride": 2, "padding": "same"}, (TensorType((10, 9, 2)),)),
        Example({"filters": 2, "kernel": 9}, (TensorType((8, 8, 1)),), raises="window-too-large"),
        Example({"filters": 2, "kernel": 3}, (TensorType((8,)),), raises="wrong-rank"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require_rank(self.kind, x, 3, "height, width, channels")
        check_initializer(self.kernel_initializer, "kernel_initializer")
        check_initializer(self.bias_initializer, "bias_initializer")
        rows, columns = positions(self.kind, x, pair(self.kernel), pair(self.stride), pair(self.dilation), self.padding)
        return TensorType((rows, columns, self.filters))

    def weights(self, *inputs: TensorType) -> tuple[Weight, ...]:
        kernel = Weight("kernel", (*pair(self.kernel), inputs[0].shape[-1], self.filters), self.kernel_initializer)
        bias = Weight("bias", (self.filters,), self.bias_initializer)
        return (kernel, bias) if self.bias else (kernel,)

    def flops(self, *inputs: TensorType) -> int:
        rows, columns, _ = self.infer(*inputs).shape
        height, width = pair(self.kernel)
        per_position = 2 * height * width * inputs[0].shape[-1] + (1 if self.bias else 0)
        return rows * columns * self.filters * per_position
