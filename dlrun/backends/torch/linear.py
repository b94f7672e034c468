"""Fully connected layers in torch."""

from __future__ import annotations

from torch import nn
from torch.nn.utils import skip_init

from dlrun.backends.torch.lowering import lowers
from dlrun.graph import Node
from dlrun.layers.linear import Dense


@lowers(Dense, kernel="weight")
def dense(layer: Dense, node: Node) -> nn.Module:
    return skip_init(nn.Linear, in_features=node.input_types[0].shape[-1], out_features=layer.units, bias=layer.bias)
