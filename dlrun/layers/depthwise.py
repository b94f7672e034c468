"""Convolutions that filter each channel alone, and those followed by a mixing of channels."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from dlrun.described import described
from dlrun.graph.layer import Composite, Example, Weight, layers
from dlrun.graph.tensor import TensorType
from dlrun.initializers import Initial
from dlrun.layers.conv import Causal, SlidingKernel
from dlrun.layers.window import Padding, Padding2, Positive, Size2


@described
class DepthwiseConv(SlidingKernel):
    """What depthwise convolutions over any number of axes have in common."""

    multiplier: Positive = 1

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        return TensorType((*self.positions(x), x.shape[-1] * self.multiplier))

    def weights(self, *inputs: TensorType) -> tuple[Weight, ...]:
        size, channels = self.window().size, inputs[0].shape[-1]
        taps = math.prod(size)  # an output reads one channel
        fans = (taps, taps * self.multiplier)
        kernel = Weight("kernel", (*size, channels, self.multiplier), self.kernel_initializer, fans=fans)
        bias = Weight("bias", (channels * self.multiplier,), self.bias_initializer)
        return (kernel, bias) if self.bias else (kernel,)

    def flops(self, *inputs: TensorType) -> int:
        return self.infer(*inputs).size * (2 * math.prod(self.window().size) + (1 if self.bias else 0))


@layers("depthwise_conv1d")
class DepthwiseConv1D(DepthwiseConv):
    """Cross-correlation of each channel of a sequence with kernels of its own.

    y[i, c m + j] = b[c m + j] + sum over u of x[i s + u d, c] W[u, c, j], with m the multiplier, s the
    stride, d the dilation, W the kernel and b the bias.

    Args:
        kernel: Taps.
        multiplier: m, output channels for each input channel.
        stride: Step between windows, in positions.
        dilation: Distance between taps, in positions.
        padding: ``valid``, ``same`` (odd position after), ``causal`` (all before), a number for both sides, or
            [[before, after]].
        activation: Element-wise layer applied to y, or none.
        bias: Whether b is added.
        kernel_initializer: How W starts.
        bias_initializer: How b starts.

    Shapes: (N, L, C) -> (N, L', C m).
    Weights: ``kernel`` (k, C, m); ``bias`` (C m,).
    Errors: wrong-rank, wrong-dtype, window-too-large, unknown-initializer.
    Differs: torch says it with `groups=C`.
    Source: Sifre 2014.
    """

    rank = 1

    kernel: Positive
    stride: Positive = 1
    dilation: Positive = 1
    padding: Causal = "valid"

    examples = (
        Example({"kernel": 3}, (TensorType((7, 3)),)),
        Example({"kernel": 3, "multiplier": 2, "stride": 2, "padding": "same"}, (TensorType((8, 3)),)),
        Example({"kernel": 3, "dilation": 2, "padding": "causal", "bias": False}, (TensorType((8, 2)),)),
        Example({"kernel": 9}, (TensorType((8, 1)),), raises="window-too-large"),
        Example({"kernel": 3}, (TensorType((8,)),), raises="wrong-rank"),
    )


@layers("depthwise_conv2d")
class DepthwiseConv2D(DepthwiseConv):
    """Two-dimensional cross-correlation of each channel with kernels of its own.

    y[i, j, c m + q] = b[c m + q] + sum over u, v of x[i s + u d, j s + v d, c] W[u, v, c, q], with m the
    multiplier, s the stride, d the dilation, W the kernel and b the bias.

    Args:
        kernel: Window height and width in cells, or one number for both.
        multiplier: m, output channels for each input channel.
        stride: Step between windows, in cells.
        dilation: Distance between the kernel's taps, in cells.
        padding: As of ``conv2d``.
        activation: Element-wise layer applied to y, or none.
        bias: Whether b is added.
        kernel_initializer: How W starts.
        bias_initializer: How b starts.

    Shapes: (N, H, W, C) -> (N, H', W', C m).
    Weights: ``kernel`` (kh, kw, C, m); ``bias`` (C m,).
    Errors: wrong-rank, wrong-dtype, window-too-large, unknown-initializer.
    Differs: torch says it with `groups=C`.
    Source: Sifre 2014.
    """

    rank = 2

    kernel: Size2
    stride: Size2 = 1
    dilation: Size2 = 1
    padding: Padding2 = "valid"

    examples = (
        Example({"kernel": 3}, (TensorType((6, 5, 3)),)),
        Example({"kernel": 3, "multiplier": 2, "stride": 2, "padding": "same"}, (TensorType((6, 7, 3)),)),
        Example({"kernel": 3, "stride": 2, "padding": 1, "bias": False}, (TensorType((6, 6, 4)),)),
        Example(
            {"kernel": (3, 2), "stride": (1, 2), "padding": "same", "activation": "relu"}, (TensorType((5, 6, 2)),)
        ),
        Example({"kernel": 3, "dilation": 2, "padding": "same", "multiplier": 2}, (TensorType((6, 5, 2)),)),
        Example({"kernel": 2, "dilation": 2, "stride": 2, "padding": ((1, 0), (0, 2))}, (TensorType((6, 5, 2)),)),
        Example({"kernel": 7}, (TensorType((8, 6, 1)),), raises="window-too-large"),
        Example({"kernel": 3}, (TensorType((8, 3)),), raises="wrong-rank"),
    )


@described
class SeparableConv(Composite):
    """What separable convolutions over any number of axes have in common."""

    rank: ClassVar[int]

    filters: Positive
    kernel: int | tuple[int, ...]
    multiplier: Positive = 1
    stride: int | tuple[int, ...] = 1
    dilation: int | tuple[int, ...] = 1
    padding: Padding = "valid"
    activation: str | None = None
    bias: bool = True
    kernel_initializer: Initial = "glorot_uniform"
    bias_initializer: Initial = "zeros"

    def expand(self, sub: Any, *inputs: str) -> str:
        (source,) = inputs
        alone = sub.add(
            f"depthwise_conv{self.rank}d",
            source,
            name="depthwise",
            trainable=self.trainable,
            kernel=self.kernel,
            multiplier=self.multiplier,
            stride=self.stride,
            dilation=self.dilation,
            padding=self.padding,
            bias=False,
            kernel_initializer=self.kernel_initializer,
        )
        mixed: str = sub.add(
            f"conv{self.rank}d",
            alone,
            name="pointwise",
            trainable=self.trainable,
            filters=self.filters,
            kernel=1,
            bias=self.bias,
            activation=self.activation,
            kernel_initializer=self.kernel_initializer,
            bias_initializer=self.bias_initializer,
        )
        return mixed


@layers("separable_conv1d")
class SeparableConv1D(SeparableConv):
    """Each channel of a sequence filtered alone, then mixed.

    y = g(f(x)), with f a ``depthwise_conv1d`` without bias and g a ``conv1d`` with kernel 1.

    Args:
        filters: Output channels.
        kernel: Taps of f.
        multiplier: Channels that f makes of each.
        stride: Step between windows of f, in positions.
        dilation: Distance between taps of f, in positions.
        padding: Of f, as of ``conv1d``.
        activation: Element-wise layer applied to y, or none.
        bias: Whether g adds a bias.
        kernel_initializer: How both kernels start.
        bias_initializer: How the bias starts.

    Shapes: (N, L, C) -> (N, L', filters).
    Weights: ``depthwise.kernel`` (k, C, m); ``pointwise.kernel`` (1, C m, filters); ``pointwise.bias`` (filters,).
    Errors: wrong-rank, wrong-dtype, window-too-large, unknown-initializer.
    Differs: torch has no such layer.
    Source: Sifre 2014; Chollet 2016.
    """

    rank = 1

    filters: Positive
    kernel: Positive
    stride: Positive = 1
    dilation: Positive = 1
    padding: Causal = "valid"


@layers("separable_conv2d")
class SeparableConv2D(SeparableConv):
    """Each channel of an image filtered alone, then mixed.

    y = g(f(x)), with f a ``depthwise_conv2d`` without bias and g a ``conv2d`` with kernel 1.

    Args:
        filters: Output channels.
        kernel: Window height and width of f in cells, or one number for both.
        multiplier: Channels that f makes of each.
        stride: Step between windows of f, in cells.
        dilation: Distance between taps of f, in cells.
        padding: Of f, as of ``conv2d``.
        activation: Element-wise layer applied to y, or none.
        bias: Whether g adds a bias.
        kernel_initializer: How both kernels start.
        bias_initializer: How the bias starts.

    Shapes: (N, H, W, C) -> (N, H', W', filters).
    Weights: ``depthwise.kernel`` (kh, kw, C, m); ``pointwise.kernel`` (1, 1, C m, filters); ``pointwise.bias``
        (filters,).
    Errors: wrong-rank, wrong-dtype, window-too-large, unknown-initializer.
    Differs: torch has no such layer.
    Source: Sifre 2014; Chollet 2016.
    """

    rank = 2

    filters: Positive
    kernel: Size2
    stride: Size2 = 1
    dilation: Size2 = 1
    padding: Padding2 = "valid"
