"""Token ids in and out, in torch."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils import skip_init

from dlrun.backends.torch.layout import channel_axis, to_canonical, to_native
from dlrun.backends.torch.lowering import lowers
from dlrun.graph import Node
from dlrun.layers import embedding


@lowers(embedding.Embedding, table="weight")
def embed(layer: embedding.Embedding, node: Node) -> nn.Module:
    module = skip_init(
        Embedding,
        num_embeddings=layer.vocabulary,
        embedding_dim=layer.units,
        padding_idx=layer.padding,
        max_norm=None,
        scale_grad_by_freq=False,
        sparse=False,
    )
    module.multiplier = layer.multiplier
    return module


class Embedding(nn.Embedding):
    """A row for each id, times a constant: ids (N, *) -> (N, *, units)."""

    multiplier: float = 1.0

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        rows = super().forward(to_canonical(input))
        return to_native(rows if self.multiplier == 1 else rows * self.multiplier)


@lowers(embedding.EmbeddingLogits, table="weight")
def embedding_logits(layer: embedding.EmbeddingLogits, node: Node) -> nn.Module:
    return skip_init(Logits, in_features=node.input_types[0].shape[-1], out_features=layer.vocabulary, bias=False)


class Logits(nn.Linear):
    """A linear layer whose matrix is a table (vocabulary, C): (N, *, C) -> (N, *, vocabulary)."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return to_native(super().forward(to_canonical(input)))


@lowers(embedding.Bias)
def bias(layer: embedding.Bias, node: Node) -> nn.Module:
    (x,) = node.input_types
    return Bias(x.shape[-1], x.rank if channel_axis(x) == 1 else 0)


class Bias(nn.Module):
    """A learned vector added to each channel.

    Args:
        channels: Its length.
        after: Axes behind the batch, where channels come first; 0 where they come last.
    """

    def __init__(self, channels: int, after: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.empty(channels))
        self._trailing = (1,) * max(after - 1, 0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.bias.to(x.dtype).view(-1, *self._trailing)


@lowers(embedding.PaddingMask)
def padding_mask(layer: embedding.PaddingMask, node: Node) -> nn.Module:
    return PaddingMask(layer.padding)


class PaddingMask(nn.Module):
    """1 where an id is not padding: ids (N, *) -> int64 (N, *)."""

    def __init__(self, padding: int) -> None:
        super().__init__()
        self.padding = padding

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return ids.ne(self.padding).to(torch.int64)


@lowers(embedding.ShiftRight)
def shift_right(layer: embedding.ShiftRight, node: Node) -> nn.Module:
    return ShiftRight(layer.start)


class ShiftRight(nn.Module):
    """The start id, then all ids but the last: (N, L) -> (N, L)."""

    def __init__(self, start: int) -> None:
        super().__init__()
        self.start = start

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return nn.functional.pad(ids[:, :-1], (1, 0), mode="constant", value=self.start)
