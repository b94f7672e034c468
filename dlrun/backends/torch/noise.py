"""Numbers that a model draws for itself, in torch."""

from __future__ import annotations

import torch
from torch import nn

from dlrun.backends.torch.dropout import Drawing
from dlrun.backends.torch.lowering import lowers
from dlrun.graph import Node, TensorType
from dlrun.layers import noise


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

    rows: torch.Tensor

    def __init__(self, name: str, drawn: TensorType) -> None:
        super().__init__(name, drawn)
        self.register_buffer("rows", torch.from_numpy(noise.evaluation_rows(name, *drawn.shape)), persistent=False)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        still = input[:0].sum()  # 0, whatever the input: its gradient is 0, not missing
        if not self.training:
            return self.rows[torch.arange(input.shape[0], device=input.device) % noise.ROWS] + still
        return self.noise(input) + still
