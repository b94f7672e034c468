"""Convolutions in torch."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn
from torch.nn.utils import skip_init

from dlrun.backends.torch.lowering import lowers
from dlrun.graph import Node
from dlrun.graph.layer import pair
from dlrun.layers.conv import Conv2D, pads


@lowers(Conv2D, kernel="weight")
def conv2d(layer: Conv2D, node: Node) -> nn.Module:
    (x,) = node.input_types
    kernel, stride, dilation = pair(layer.kernel), pair(layer.stride), pair(layer.dilation)
    (top, bottom), (left, right) = pads(x.shape, kernel, stride, dilation, layer.padding)
    symmetric = top == bottom and left == right
    conv = skip_init(
        nn.Conv2d,
        in_channels=x.shape[-1],
        out_channels=layer.filters,
        kernel_size=kernel,
        stride=stride,
        padding=(top, left) if symmetric else (0, 0),
        dilation=dilation,
        groups=1,
        bias=layer.bias,
        padding_mode="zeros",
    )
    if symmetric:
        return conv
    return nn.Sequential(OrderedDict(pad=nn.ZeroPad2d(padding=(left, right, top, bottom)), conv=conv))
