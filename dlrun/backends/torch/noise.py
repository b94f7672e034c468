"""Numbers that a model draws for itself, in torch."""

from __future__ import annotations

import torch
from torch import nn

from dlrun.backends.torch.dropout import Drawing
from dlrun.backends.torch.lowering import lowers
from dlrun.graph import Node, TensorType
from dlrun.layers import noise
from dlrun.randomness import evaluation_key


@lowers(noise.NormalNoise)
def normal_noise(layer: noise.NormalNoise, node: Node) -> nn.Module:
    return NormalNoise(node.name, node.output)


class NormalNoise(Drawing):
    """Unit normal numbers for each sample.

    Args:
        name: Canonical name of the layer, part of the draw's key.
        drawn: Type of the numbers for one sample.

    Shapes: (N, *) -> (N, units).
    """

    def __init__(self, name: str, drawn: TensorType) -> None:
        super().__init__(name, drawn)
        self._evaluation = evaluation_key(name)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        drawn = self.noise(input) if self.training else self.normal(input, 0, self._evaluation)
        return drawn + input[:0].sum()  # 0, whatever the input: its gradient is 0, not missing
