"""Transposed convolutions: the gradient of a convolution with respect to its input, as a layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from dlrun.described import described
from dlrun.errors import DlrunError
from dlrun.graph.layer import Example, Layer, Weight, layers
from dlrun.graph.tensor import TensorType
from dlrun.initializers import Initial, check_initializer
from dlrun.layers.window import AXES, Cells, Positive, Size2, Size3, per_axis, require_grid

Style = Literal["valid", "same"]


@dataclass(frozen=True)
class Cut:
    """Which part of the whole result is kept along one axis.

    Args:
        whole: Cells that some tap reaches, (n - 1) stride + kernel.
        before: First cell kept.
        count: Cells kept; those beyond ``whole`` are zero.
    """

    whole: int
    before: int
    count: int

    @property
    def beyond(self) -> int:
        """Cells kept beyond the whole result; below zero, cells dropped at its end."""
        return self.before + self.count - self.whole


@described
class ConvTranspose(Layer):
    """What transposed convolutions over any number of axes have in common."""

    rank: ClassVar[int]

    filters: Positive
    kernel: int | tuple[int, ...]
    stride: int | tuple[int, ...] = 1
    padding: str | int | tuple[int, ...] = "valid"
    output_padding: int | tuple[int, ...] = 0
    activation: str | None = None
    bias: bool = True
    kernel_initializer: Initial = "glorot_uniform"
    bias_initializer: Initial = "zeros"

    def cuts(self, spatial: Sequence[int]) -> tuple[Cut, ...]:
        """What is kept along each axis."""
        sizes, strides, more = (per_axis(v, self.rank) for v in (self.kernel, self.stride, self.output_padding))
        removed = (0,) * self.rank if isinstance(self.padding, str) else per_axis(self.padding, self.rank)
        found = []
        for n, k, s, p, extra in zip(spatial, sizes, strides, removed, more, strict=True):
            whole = (n - 1) * s + k
            if self.padding == "same":
                found.append(Cut(whole, max(k - s, 0) // 2, n * s))
            elif self.padding == "valid":
                found.append(Cut(whole, 0, n * s + max(k - s, 0)))
            else:
                found.append(Cut(whole, p, whole - 2 * p + extra))
        return tuple(found)

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require_grid(self.kind, x, self.rank)
        check_initializer(self.kernel_initializer, "kernel_initializer")
        check_initializer(self.bias_initializer, "bias_initializer")
        self._check_output_padding()
        cuts = self.cuts(x.shape[: self.rank])
        for cut, axis in zip(cuts, AXES[self.rank], strict=True):
            if cut.count < 1:
                raise DlrunError(
                    "padding-too-large",
                    f"`{self.kind}` makes {axis} {cut.whole}, from which `padding` takes `{cut.before}` on both sides; "
                    "at least one cell must stay.",
                    path=("padding",),
                    hint="Use a smaller padding, or a larger kernel or stride.",
                )
        return TensorType((*(cut.count for cut in cuts), self.filters))

    def _check_output_padding(self) -> None:
        strides, more = per_axis(self.stride, self.rank), per_axis(self.output_padding, self.rank)
        if any(more) and isinstance(self.padding, str):
            raise DlrunError(
                "output-padding-unused",
                f"`output_padding` goes with a number as `padding`, not with `{self.padding}`, which fixes the size.",
                path=("output_padding",),
                hint="Write `padding` as a number, or leave `output_padding` out.",
            )
        for extra, stride in zip(more, strides, strict=True):
            if extra >= stride:
                raise DlrunError(
                    "output-padding-too-large",
                    f"`output_padding` is `{extra}` but must be below the stride, which is {stride}.",
                    path=("output_padding",),
                )

    def weights(self, *inputs: TensorType) -> tuple[Weight, ...]:
        size = per_axis(self.kernel, self.rank)
        kernel = Weight("kernel", (*size, self.filters, inputs[0].shape[-1]), self.kernel_initializer)
        bias = Weight("bias", (self.filters,), self.bias_initializer)
        return (kernel, bias) if self.bias else (kernel,)

    def flops(self, *inputs: TensorType) -> int:
        taps = math.prod(per_axis(self.kernel, self.rank)) * self.filters
        return inputs[0].size * 2 * taps + (self.infer(*inputs).size if self.bias else 0)


@layers("conv1d_transpose")
class Conv1DTranspose(ConvTranspose):
    """Transposed convolution along a sequence.

    y[i s + u - p, o] = b[o] + the sum of x[i, c] W[u, o, c] over all i, u, c that meet there, with s
    the stride, p the padding before, W the kernel and b the bias.

    Args:
        filters: Output channels.
        kernel: Taps.
        stride: Output positions for each input position.
        padding: ``same`` makes n s positions (p = max(k - s, 0) // 2); ``valid`` keeps all, and at least n s;
            a number takes that many away on both sides.
        output_padding: Positions kept or added at the end, below the stride; with a number as padding.
        activation: Element-wise layer applied to y, or none.
        bias: Whether b is added.
        kernel_initializer: How W starts.
        bias_initializer: How b starts.

    Shapes: (N, L, C) -> (N, L', filters).
    Weights: ``kernel`` (k, filters, C); ``bias`` (filters,).
    Errors: wrong-rank, wrong-dtype, padding-too-large, output-padding-too-large, output-padding-unused,
        unknown-initializer.
    Differs: torch has numbers only; an odd k - s under `same` is a crop it cannot name.
    Source: Zeiler et al. 2010.
    """

    rank = 1

    filters: Positive
    kernel: Positive
    stride: Positive = 1
    padding: Style | Cells = "valid"
    output_padding: Cells = 0

    examples = (
        Example({"filters": 3, "kernel": 3, "stride": 2}, (TensorType((4, 2)),)),
        Example({"filters": 3, "kernel": 3, "stride": 2, "padding": "same"}, (TensorType((5, 2)),)),
        Example({"filters": 2, "kernel": 2, "stride": 3, "bias": False}, (TensorType((4, 3)),)),
        Example({"filters": 2, "kernel": 4, "stride": 2, "padding": 1, "activation": "relu"}, (TensorType((4, 3)),)),
        Example({"filters": 2, "kernel": 3, "padding": 3}, (TensorType((2, 1)),), raises="padding-too-large"),
        Example({"filters": 2, "kernel": 3}, (TensorType((4,)),), raises="wrong-rank"),
    )


@layers("conv2d_transpose")
class Conv2DTranspose(ConvTranspose):
    """Two-dimensional transposed convolution.

    y[i s + u - p, j s + v - p, o] = b[o] + the sum of x[i, j, c] W[u, v, o, c] over all i, j, u, v, c
    that meet there, with s the stride, p the padding before, W the kernel and b the bias.

    Args:
        filters: Output channels.
        kernel: Height and width in cells, or one number for both.
        stride: Output cells for each input cell.
        padding: ``same`` makes n s cells (p = max(k - s, 0) // 2); ``valid`` keeps all, and at least n s;
            a number, or one per axis, takes that many away on both sides.
        output_padding: Cells kept or added at the bottom and right, below the stride; with a number as padding.
        activation: Element-wise layer applied to y, or none.
        bias: Whether b is added.
        kernel_initializer: How W starts.
        bias_initializer: How b starts.

    Shapes: (N, H, W, C) -> (N, H', W', filters).
    Weights: ``kernel`` (kh, kw, filters, C); ``bias`` (filters,).
    Errors: wrong-rank, wrong-dtype, padding-too-large, output-padding-too-large, output-padding-unused,
        unknown-initializer.
    Differs: torch's `padding=1, output_padding=1` with kernel 3 and stride 2 is another crop than `same`.
    Source: Zeiler et al. 2010.
    """

    rank = 2

    filters: Positive
    kernel: Size2
    stride: Size2 = 1
    padding: Style | Cells | tuple[Cells, Cells] = "valid"
    output_padding: Cells | tuple[Cells, Cells] = 0

    examples = (
        Example({"filters": 3, "kernel": 3, "stride": 2}, (TensorType((4, 3, 2)),)),
        Example({"filters": 3, "kernel": 3, "stride": 2, "padding": "same"}, (TensorType((4, 3, 2)),)),
        Example({"filters": 3, "kernel": 4, "stride": 2, "padding": 1, "bias": False}, (TensorType((4, 3, 2)),)),
        Example({"filters": 2, "kernel": 3, "stride": 2, "padding": 1, "output_padding": 1}, (TensorType((3, 4, 3)),)),
        Example({"filters": 2, "kernel": (2, 5), "stride": (3, 2), "padding": "same"}, (TensorType((3, 4, 2)),)),
        Example(
            {"filters": 2, "kernel": (2, 3), "stride": (3, 2), "padding": (0, 1), "output_padding": (2, 0)},
            (TensorType((3, 4, 2)),),
        ),
        Example({"filters": 2, "kernel": 3, "padding": 2}, (TensorType((2, 4, 1)),), raises="padding-too-large"),
        Example(
            {"filters": 2, "kernel": 3, "stride": 2, "padding": 1, "output_padding": 2},
            (TensorType((2, 4, 1)),),
            raises="output-padding-too-large",
        ),
        Example(
            {"filters": 2, "kernel": 3, "stride": 2, "padding": "same", "output_padding": 1},
            (TensorType((2, 4, 1)),),
            raises="output-padding-unused",
        ),
        Example({"filters": 2, "kernel": 3}, (TensorType((4, 2)),), raises="wrong-rank"),
    )


@layers("conv3d_transpose")
class Conv3DTranspose(ConvTranspose):
    """Three-dimensional transposed convolution.

    y[h s + t - p, i s + u - p, j s + v - p, o] = b[o] + the sum of x[h, i, j, c] W[t, u, v, o, c] over all
    h, i, j, t, u, v, c that meet there, with s the stride, p the padding before, W the kernel and b the bias.

    Args:
        filters: Output channels.
        kernel: Depth, height and width in cells, or one number for all.
        stride: Output cells for each input cell.
        padding: ``same`` makes n s cells (p = max(k - s, 0) // 2); ``valid`` keeps all, and at least n s;
            a number, or one per axis, takes that many away on both sides.
        output_padding: Cells kept or added at the end, below the stride; with a number as padding.
        activation: Element-wise layer applied to y, or none.
        bias: Whether b is added.
        kernel_initializer: How W starts.
        bias_initializer: How b starts.

    Shapes: (N, D, H, W, C) -> (N, D', H', W', filters).
    Weights: ``kernel`` (kd, kh, kw, filters, C); ``bias`` (filters,).
    Errors: wrong-rank, wrong-dtype, padding-too-large, output-padding-too-large, output-padding-unused,
        unknown-initializer.
    Differs: torch has numbers only; an odd k - s under `same` is a crop it cannot name.
    Source: Zeiler et al. 2010.
    """

    rank = 3

    filters: Positive
    kernel: Size3
    stride: Size3 = 1
    padding: Style | Cells | tuple[Cells, Cells, Cells] = "valid"
    output_padding: Cells | tuple[Cells, Cells, Cells] = 0

    examples = (
        Example({"filters": 2, "kernel": 2, "stride": 2}, (TensorType((2, 3, 2, 2)),)),
        Example({"filters": 2, "kernel": 3, "stride": 2, "padding": "same"}, (TensorType((2, 3, 2, 2)),)),
        Example(
            {"filters": 2, "kernel": (1, 4, 3), "stride": (1, 2, 2), "padding": (0, 1, 1), "output_padding": (0, 0, 1)},
            (TensorType((2, 2, 3, 2)),),
        ),
        Example({"filters": 2, "kernel": 3, "padding": 2}, (TensorType((4, 4, 2, 1)),), raises="padding-too-large"),
        Example({"filters": 2, "kernel": 3}, (TensorType((4, 4, 2)),), raises="wrong-rank"),
    )
