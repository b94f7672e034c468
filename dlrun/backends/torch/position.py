"""Positions and the class token in torch."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from dlrun.backends.torch.lowering import lowers
from dlrun.graph import Node
from dlrun.layers import position


@lowers(position.SinusoidalPosition)
def sinusoidal_position(layer: position.SinusoidalPosition, node: Node) -> nn.Module:
    return SinusoidalPosition(layer.table(*node.output.shape))


class SinusoidalPosition(nn.Module):
    """A constant table added: (N, L, C) -> (N, L, C)."""

    table: torch.Tensor

    def __init__(self, table: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("table", torch.from_numpy(table), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.table.to(x.dtype)


@lowers(position.LearnedPosition)
def learned_position(layer: position.LearnedPosition, node: Node) -> nn.Module:
    length, channels = node.output.shape
    return LearnedPosition(layer.length or length, channels)


class LearnedPosition(nn.Module):
    """The first rows of a learned table added: (N, L, C) -> (N, L, C)."""

    def __init__(self, length: int, channels: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(length, channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.table[: x.shape[1]].to(x.dtype)


@lowers(position.RotaryPosition)
def rotary_position(layer: position.RotaryPosition, node: Node) -> nn.Module:
    length, channels = node.output.shape
    return RotaryPosition(layer.heads, layer.angles(length, channels // layer.heads), layer.interleaved)


class RotaryPosition(nn.Module):
    """Pairs of channels turned: (N, L, heads d) -> (N, L, heads d).

    Args:
        heads: Heads side by side.
        angles: (L, d / 2).
        interleaved: Whether the channels of a pair are neighbours.
    """

    cos: torch.Tensor
    sin: torch.Tensor

    def __init__(self, heads: int, angles: np.ndarray, interleaved: bool) -> None:
        super().__init__()
        self.heads = heads
        self._axis = -1 if interleaved else -2
        self._pairs = (-1, 2) if interleaved else (2, angles.shape[1])
        for name, values in (("cos", np.cos(angles)), ("sin", np.sin(angles))):
            self.register_buffer(name, torch.from_numpy(values[:, None]), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b = x.unflatten(-1, (self.heads, *self._pairs)).unbind(self._axis)
        cos, sin = self.cos.to(x.dtype), self.sin.to(x.dtype)
        return torch.stack((a * cos - b * sin, b * cos + a * sin), dim=self._axis).flatten(2)


@lowers(position.ClassToken)
def class_token(layer: position.ClassToken, node: Node) -> nn.Module:
    return ClassToken(node.output.shape[1])


class ClassToken(nn.Module):
    """A learned step put first: (N, L, C) -> (N, L + 1, C)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.empty(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat((self.token.to(x.dtype).expand(x.shape[0], 1, -1), x), dim=1)
