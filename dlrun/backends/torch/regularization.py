"""Layers that act only in training, in torch."""

from __future__ import annotations

from torch import nn

from dlrun.backends.torch.dropout import Dropout
from dlrun.backends.torch.lowering import lowers
from dlrun.graph import Node
from dlrun.layers import regularization


@lowers(regularization.Dropout)
def dropout(layer: regularization.Dropout, node: Node) -> nn.Module:
    return Dropout(layer.rate, node.name, node.output)
