"""Cells added around a tensor, in torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from dlrun.backends.torch.layout import native_axis
from dlrun.backends.torch.lowering import lowers
from dlrun.graph import Node
from dlrun.layers.pad import Pad, around

Added = dict[int, tuple[int, int]]
"""Cells (before, after) by native axis."""


@lowers(Pad)
def pad(layer: Pad, node: Node) -> nn.Module:
    (x,) = node.input_types
    pairs = around(layer.kind, x, layer.amount)
    added = {native_axis(x, axis): pair for axis, pair in enumerate(pairs) if any(pair)}
    return ConstantPad(added, x.rank + 1, layer.value) if layer.mode == "constant" else CellPad(added, layer.mode)


class ConstantPad(nn.Module):
    """Cells of one value: (N, *) -> (N, *).

    Args:
        added: Cells by native axis.
        rank: Native axes, the batch included.
        value: What stands in them.
    """

    def __init__(self, added: Added, rank: int, value: float) -> None:
        super().__init__()
        first = min(added, default=rank)
        self.pad = [cells for axis in reversed(range(first, rank)) for cells in added.get(axis, (0, 0))]
        self.value = value

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.pad(x, self.pad, mode="constant", value=self.value) if self.pad else x

    def extra_repr(self) -> str:
        return f"pad={self.pad}, value={self.value}"


class CellPad(nn.Module):
    """Cells copied from those at the edge: (N, *) -> (N, *).

    Joined from pieces: torch's own form takes few ranks, and its gradient on a GPU adds in any order.

    Args:
        added: Cells by native axis.
        mode: ``reflect`` or ``edge``.
    """

    def __init__(self, added: Added, mode: str) -> None:
        super().__init__()
        self.added = added
        self.mode = mode

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for axis, (before, after) in self.added.items():
            x = torch.cat(self._parts(x, axis, before, after), dim=axis)
        return x

    def _parts(self, x: torch.Tensor, axis: int, before: int, after: int) -> list[torch.Tensor]:
        length = x.shape[axis]
        if self.mode == "edge":
            first, last = x.narrow(axis, 0, 1), x.narrow(axis, length - 1, 1)
            return [first] * before + [x] + [last] * after
        first, last = x.narrow(axis, 1, before), x.narrow(axis, length - 1 - after, after)
        return [first.flip(axis), x, last.flip(axis)]

    def extra_repr(self) -> str:
        return f"added={self.added}, mode={self.mode}"
