"""Depthwise convolutions in torch: convolutions with as many groups as channels."""

from __future__ import annotations

from torch import nn

from dlrun.backends.torch.conv import convolve
from dlrun.backends.torch.lowering import lowers
from dlrun.graph import Node
from dlrun.layers import depthwise


@lowers(depthwise.DepthwiseConv1D, kernel="weight")
@lowers(depthwise.DepthwiseConv2D, kernel="weight")
def depthwise_convolution(layer: depthwise.DepthwiseConv, node: Node) -> nn.Module:
    (x,) = node.input_types
    channels = x.shape[-1]
    return convolve(layer.window(), layer.pads(x), channels, channels * layer.multiplier, channels, layer.bias)
