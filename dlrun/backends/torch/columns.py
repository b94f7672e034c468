"""Rows of a table, in torch."""

from __future__ import annotations

import torch
from torch import nn

from dlrun.backends.torch.lowering import lowers
from dlrun.graph import Node
from dlrun.layers import columns


@lowers(columns.OneHotColumns)
def one_hot_columns(layer: columns.OneHotColumns, node: Node) -> nn.Module:
    return OneHotColumns(layer) if layer.coded else nn.Identity()


@lowers(columns.ColumnEmbedding)
def column_embedding(layer: columns.ColumnEmbedding, node: Node) -> nn.Module:
    return ColumnEmbedding(layer) if layer.coded else nn.Identity()


class _Columns(nn.Module):
    """A row taken apart: numbers, and ids that are sure to be some."""

    numbers: torch.Tensor
    coded: torch.Tensor
    counts: torch.Tensor

    def __init__(self, layer: columns.Columns) -> None:
        super().__init__()
        self._keep("numbers", layer.numbers)
        self._keep("coded", [c for c, _ in layer.coded])
        self._keep("counts", [ids for _, ids in layer.coded])

    def _keep(self, name: str, values: object) -> None:
        self.register_buffer(name, torch.tensor(values, dtype=torch.int64), persistent=False)

    def parts(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, columns) -> numbers (N, numbers), int64 ids (N, categories)."""
        given = x.index_select(1, self.coded)
        known = (given >= 0) & (given < self.counts) & (given == given.floor())
        return x.index_select(1, self.numbers), torch.where(known, given, torch.zeros_like(given)).to(torch.int64)


class OneHotColumns(_Columns):
    """(N, columns) -> (N, numbers + ids)."""

    columns: torch.Tensor
    codes: torch.Tensor

    def __init__(self, layer: columns.OneHotColumns) -> None:
        super().__init__(layer)
        self._keep("columns", [i for i, (_, ids) in enumerate(layer.coded) for _ in range(ids)])
        self._keep("codes", [code for _, ids in layer.coded for code in range(ids)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        numbers, ids = self.parts(x)
        return torch.cat((numbers, ids.index_select(1, self.columns).eq(self.codes).to(x.dtype)), dim=1)


class ColumnEmbedding(_Columns):
    """(N, columns) -> (N, numbers + units)."""

    def __init__(self, layer: columns.ColumnEmbedding) -> None:
        super().__init__(layer)
        self.tables = [f"table{c}" for c, _ in layer.coded]
        for name, (_, ids), units in zip(self.tables, layer.coded, layer.widths(), strict=True):
            self.register_parameter(name, nn.Parameter(torch.empty(ids, units)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        numbers, ids = self.parts(x)
        tables = (getattr(self, name) for name in self.tables)
        vectors = [nn.functional.embedding(i, t).to(x.dtype) for i, t in zip(ids.unbind(1), tables, strict=True)]
        return torch.cat((numbers, *vectors), dim=1)
