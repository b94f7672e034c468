"""Products of two inputs that sum over an axis, in torch."""

from __future__ import annotations

import torch
from torch import nn

from dlrun.backends.torch.layout import to_canonical, to_native
from dlrun.backends.torch.lowering import lowers
from dlrun.graph import Node
from dlrun.layers import product


@lowers(product.MatMul)
def matmul(layer: product.MatMul, node: Node) -> nn.Module:
    return MatMul(layer.transpose_first, layer.transpose_second)


class MatMul(nn.Module):
    """Matrix product over the last two canonical axes: (N, *, I, K), (N, *, K, J) -> (N, *, I, J).

    Args:
        first: Whether the first input's matrices are turned.
        second: Whether the second's are.
    """

    def __init__(self, first: bool, second: bool) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        a, b = to_canonical(a), to_canonical(b)
        a = a.transpose(-1, -2) if self.first else a
        b = b.transpose(-1, -2) if self.second else b
        return to_native(torch.matmul(a, b))

    def extra_repr(self) -> str:
        return f"transpose_first={self.first}, transpose_second={self.second}"


@lowers(product.Dot)
def dot(layer: product.Dot, node: Node) -> nn.Module:
    return Dot(layer.epsilon if layer.normalize else None)


class Dot(nn.Module):
    """Scalar product over the channels, or the cosine: (N, *, C), (N, *, C) -> (N, *, 1).

    Args:
        shortest: The shortest length divided by; None for no division.
    """

    def __init__(self, shortest: float | None) -> None:
        super().__init__()
        self.shortest = shortest

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        a, b = to_canonical(a), to_canonical(b)
        product = (a * b).sum(dim=-1, keepdim=True)
        if self.shortest is not None:
            # The root of a clamped square, as a root has no gradient at 0.
            lengths = [torch.clamp((x * x).sum(dim=-1, keepdim=True), min=self.shortest**2).sqrt() for x in (a, b)]
            product = product / (lengths[0] * lengths[1])
        return to_native(product)

    def extra_repr(self) -> str:
        return f"shortest={self.shortest}"
