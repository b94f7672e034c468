"""Convolutions over sequences, images and volumes."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from dlrun.described import described
from dlrun.errors import DlrunError
from dlrun.graph.layer import Example, Layer, Weight, layers
from dlrun.graph.tensor import TensorType
from dlrun.initializers import Initial, check_initializer
from dlrun.layers.window import (
    Cells,
    Padding,
    Padding2,
    Padding3,
    Pads,
    Positive,
    Size2,
    Size3,
    Window,
    per_axis,
    require_grid,
)

Causal = Literal["valid", "same", "causal"] | Cells | tuple[tuple[Cells, Cells]]


@described
class SlidingKernel(Layer):
    """What layers that move a kernel over any number of axes have in common."""

    rank: ClassVar[int]

    kernel: int | tuple[int, ...]
    stride: int | tuple[int, ...] = 1
    dilation: int | tuple[int, ...] = 1
    padding: Padding = "valid"
    activation: str | None = None
    bias: bool = True
    kernel_initializer: Initial = "glorot_uniform"
    bias_initializer: Initial = "zeros"

    def window(self) -> Window:
        """The kernel as a window that moves."""
        size, stride, dilation = (per_axis(v, self.rank) for v in (self.kernel, self.stride, self.dilation))
        return Window(size, stride, dilation, self.padding)

    def pads(self, x: TensorType) -> Pads:
        """Zeros added (before, after) on each spatial axis of an input."""
        return self.window().pads(x.shape[: self.rank])

    def positions(self, x: TensorType) -> tuple[int, ...]:
        """How many windows fit along each axis of an input.

        Raises:
            DlrunError: When input, initializers or window are wrong.
        """
        require_grid(self.kind, x, self.rank)
        check_initializer(self.kernel_initializer, "kernel_initializer")
        check_initializer(self.bias_initializer, "bias_initializer")
        return self.window().check(self.kind, x)


@described
class Conv(SlidingKernel):
    """What convolutions over any number of axes have in common."""

    filters: Positive
    groups: Positive = 1

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        positions = self.positions(x)
        for what, count in (("the input's channels", x.shape[-1]), ("`filters`", self.filters)):
            if count % self.groups:
                raise DlrunError(
                    "channels-not-divisible",
                    f"`groups` is `{self.groups}`, but {what} are {count}; groups divide both channels and filters.",
                    path=("groups",),
                    hint="Use a number of groups that divides both, or 1.",
                )
        return TensorType((*positions, self.filters))

    def weights(self, *inputs: TensorType) -> tuple[Weight, ...]:
        size = self.window().size
        kernel = Weight("kernel", (*size, inputs[0].shape[-1] // self.groups, self.filters), self.kernel_initializer)
        bias = Weight("bias", (self.filters,), self.bias_initializer)
        return (kernel, bias) if self.bias else (kernel,)

    def flops(self, *inputs: TensorType) -> int:
        taps = math.prod(self.window().size) * (inputs[0].shape[-1] // self.groups)
        return self.infer(*inputs).size * (2 * taps + (1 if self.bias else 0))


@layers("conv1d")
class Conv1D(Conv):
    """Cross-correlation along a sequence.

    y[i, o] = b[o] + sum over u, c of x[i s + u d, c] W[u, c, o], with s the stride, d the
    dilation, W the kernel and b the bias; c runs over the channels of o's group.

    Args:
        filters: Output channels.
        kernel: Taps.
        stride: Step between windows, in positions.
        dilation: Distance between taps, in positions.
        padding: ``valid`` adds nothing; ``same`` keeps ceil(n / stride) positions, odd one after; ``causal``
            adds all before; a number adds that many zeros on both sides, [[before, after]] on each.
        groups: Parts into which channels and filters are cut; filters read their own part only.
        activation: Element-wise layer applied to y, or none.
        bias: Whether b is added.
        kernel_initializer: How W starts.
        bias_initializer: How b starts.

    Shapes: (N, L, C) -> (N, L', filters).
    Weights: ``kernel`` (k, C / groups, filters); ``bias`` (filters,).
    Errors: wrong-rank, wrong-dtype, window-too-large, channels-not-divisible, unknown-initializer.
    Differs: torch keeps sequences as (N, C, L) and has no causal padding.
    Source: Waibel et al. 1989; causal: van den Oord et al. 2016.
    """

    rank = 1

    filters: Positive
    kernel: Positive
    stride: Positive = 1
    dilation: Positive = 1
    padding: Causal = "valid"

    examples = (
        Example({"filters": 4, "kernel": 3}, (TensorType((8, 3)),)),
        Example({"filters": 4, "kernel": 3, "padding": "same", "stride": 2}, (TensorType((8, 2)),)),
        Example({"filters": 2, "kernel": 3, "padding": "causal", "dilation": 2}, (TensorType((7, 2)),)),
        Example(
            {"filters": 4, "kernel": 2, "padding": ((2, 1),), "dilation": 2, "stride": 2, "groups": 2},
            (TensorType((9, 4)),),
        ),
        Example({"filters": 4, "kernel": 3, "padding": 1, "groups": 4, "bias": False}, (TensorType((6, 4)),)),
        Example({"filters": 2, "kernel": 9}, (TensorType((8, 1)),), raises="window-too-large"),
        Example({"filters": 2, "kernel": 3}, (TensorType((8, 8, 1)),), raises="wrong-rank"),
        Example({"filters": 4, "kernel": 3, "groups": 3}, (TensorType((8, 3)),), raises="channels-not-divisible"),
    )


@layers("conv2d")
class Conv2D(Conv):
    """Two-dimensional cross-correlation.

    y[i, j, o] = b[o] + sum over u, v, c of x[i s + u d, j s + v d, c] W[u, v, c, o], with s the
    stride, d the dilation, W the kernel and b the bias; c runs over the channels of o's group.

    Args:
        filters: Output channels.
        kernel: Window height and width in cells, or one number for both.
        stride: Step between windows, in cells.
        dilation: Distance between the kernel's taps, in cells.
        padding: ``valid`` adds nothing; ``same`` keeps ceil(n / stride) positions, odd cell after; a number
            adds that many zeros on every side, [rows, columns] on each axis, [[top, bottom], [left, right]] on each
            side.
        groups: Parts into which channels and filters are cut; filters read their own part only.
        activation: Element-wise layer applied to y, or none.
        bias: Whether b is added.
        kernel_initializer: How W starts.
        bias_initializer: How b starts.

    Shapes: (N, H, W, C) -> (N, H', W', filters).
    Weights: ``kernel`` (kh, kw, C / groups, filters); ``bias`` (filters,).
    Errors: wrong-rank, wrong-dtype, window-too-large, channels-not-divisible, unknown-initializer.
    Differs: torch's `padding=1` is `padding: 1`; on an even input with stride 2 it is not `same`.
    Source: LeCun et al. 1989; groups: Krizhevsky et al. 2012.
    """

    known_as = ("conv", "convolution")

    rank = 2

    filters: Positive
    kernel: Size2
    stride: Size2 = 1
    dilation: Size2 = 1
    padding: Padding2 = "valid"

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
        Example({"filters": 2, "kernel": 3, "stride": 2, "padding": 1}, (TensorType((8, 8, 2)),)),
        Example({"filters": 2, "kernel": 3, "padding": ((0, 2), (1, 3))}, (TensorType((5, 6, 2)),)),
        Example({"filters": 6, "kernel": 3, "padding": (1, 0), "groups": 2}, (TensorType((6, 5, 4)),)),
        Example(
            {"filters": 4, "kernel": 3, "padding": 2, "groups": 2, "dilation": 2, "stride": 2}, (TensorType((8, 7, 4)),)
        ),
        Example({"filters": 6, "kernel": 3, "groups": 3, "padding": "same", "stride": 2}, (TensorType((6, 5, 3)),)),
        Example({"filters": 6, "kernel": 1, "stride": (2, 3)}, (TensorType((7, 8, 4)),)),
        Example({"filters": 2, "kernel": 9}, (TensorType((8, 8, 1)),), raises="window-too-large"),
        Example({"filters": 2, "kernel": 3}, (TensorType((8,)),), raises="wrong-rank"),
        Example({"filters": 4, "kernel": 3, "groups": 2}, (TensorType((8, 8, 3)),), raises="channels-not-divisible"),
        Example({"filters": 3, "kernel": 3, "groups": 2}, (TensorType((8, 8, 4)),), raises="channels-not-divisible"),
    )


@layers("conv3d")
class Conv3D(Conv):
    """Three-dimensional cross-correlation.

    y[h, i, j, o] = b[o] + sum over t, u, v, c of x[h s + t d, i s + u d, j s + v d, c] W[t, u, v, c, o],
    with s the stride, d the dilation, W the kernel and b the bias; c runs over the channels of o's group.

    Args:
        filters: Output channels.
        kernel: Window depth, height and width in cells, or one number for all.
        stride: Step between windows, in cells.
        dilation: Distance between the kernel's taps, in cells.
        padding: ``valid`` adds nothing; ``same`` keeps ceil(n / stride) positions, odd cell after; a number
            adds that many zeros on every side, three numbers on each axis, three [before, after] on each side.
        groups: Parts into which channels and filters are cut; filters read their own part only.
        activation: Element-wise layer applied to y, or none.
        bias: Whether b is added.
        kernel_initializer: How W starts.
        bias_initializer: How b starts.

    Shapes: (N, D, H, W, C) -> (N, D', H', W', filters).
    Weights: ``kernel`` (kd, kh, kw, C / groups, filters); ``bias`` (filters,).
    Errors: wrong-rank, wrong-dtype, window-too-large, channels-not-divisible, unknown-initializer.
    Differs: torch keeps volumes as (N, C, D, H, W).
    Source: Ji et al. 2010.
    """

    rank = 3

    filters: Positive
    kernel: Size3
    stride: Size3 = 1
    dilation: Size3 = 1
    padding: Padding3 = "valid"

    examples = (
        Example({"filters": 3, "kernel": 2}, (TensorType((4, 3, 5, 2)),)),
        Example({"filters": 2, "kernel": 3, "padding": "same", "stride": 2}, (TensorType((4, 3, 5, 2)),)),
        Example(
            {"filters": 2, "kernel": (1, 2, 3), "stride": (1, 2, 1), "padding": (0, 1, 1), "bias": False},
            (TensorType((3, 4, 3, 2)),),
        ),
        Example(
            {"filters": 2, "kernel": 2, "dilation": 2, "padding": ((1, 0), (0, 1), (2, 1))}, (TensorType((3,) * 4),)
        ),
        Example({"filters": 4, "kernel": 2, "groups": 2, "padding": "same", "stride": 2}, (TensorType((3, 4, 3, 2)),)),
        Example({"filters": 6, "kernel": 3, "groups": 3, "padding": 1, "stride": (1, 2, 1)}, (TensorType((3,) * 4),)),
        Example(
            {"filters": 2, "kernel": 2, "groups": 2, "padding": 1, "stride": 2, "dilation": 2},
            (TensorType((4, 3, 4, 4)),),
        ),
        Example({"filters": 2, "kernel": 4}, (TensorType((8, 3, 8, 1)),), raises="window-too-large"),
        Example({"filters": 2, "kernel": 3}, (TensorType((8, 8, 1)),), raises="wrong-rank"),
        Example({"filters": 4, "kernel": 2, "groups": 4}, (TensorType((4, 4, 4, 2)),), raises="channels-not-divisible"),
    )
