"""Attention in torch: its fused kernel, or step by step where dropout acts on what it averages with."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from dlrun.backends.torch.dropout import Dropout
from dlrun.backends.torch.lowering import lowers
from dlrun.graph import Node, TensorType
from dlrun.layers import attention


@lowers(attention.DotProductAttention)
def dot_product_attention(layer: attention.DotProductAttention, node: Node) -> nn.Module:
    return DotProductAttention(layer, node)


class DotProductAttention(nn.Module):
    """Query (N, T, heads d), keys (N, S, groups d), values (N, S, groups e), mask (N, S) -> (N, T, heads e).

    Args:
        layer: Heads, causality and scale.
        node: Shapes and the name that dropout draws by.
    """

    before: torch.Tensor

    def __init__(self, layer: attention.DotProductAttention, node: Node) -> None:
        super().__init__()
        query, key, *_ = node.input_types
        self.heads = layer.heads
        self.groups = layer.kv_heads or layer.heads
        self.causal = layer.causal
        self.scale = layer.factor(query)
        if layer.causal:
            before = torch.ones(query.shape[0], key.shape[0], dtype=torch.bool).tril()
            self.register_buffer("before", before, persistent=False)
        weights = TensorType((layer.heads * query.shape[0] * key.shape[0],))
        self.dropout = Dropout(layer.dropout, node.name, weights) if layer.dropout else None

    def forward(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        q = query.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        k, v = (x.unflatten(-1, (self.groups, -1)).transpose(1, 2) for x in (key, value))
        if self.training and self.dropout is not None:
            y = self._dropped(q, k, v, self._kept(mask))
        else:
            alone = mask is None  # the kernel knows causality, but not beside a mask
            y = F.scaled_dot_product_attention(
                q,
                k,
                v,
                attn_mask=None if alone else self._kept(mask),
                dropout_p=0.0,
                is_causal=self.causal and alone,
                scale=self.scale,
                enable_gqa=self.groups != self.heads,
            )
        return y.transpose(1, 2).flatten(2)

    def _kept(self, mask: torch.Tensor | None) -> torch.Tensor | None:
        """True where a query may see a key, of a shape that fits (N, heads, T, S); None for everywhere."""
        seen = self.before if self.causal else None
        if mask is None:
            return seen
        kept = mask.bool()[:, None, None, :]
        return kept if seen is None else kept & seen

    def _dropped(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, kept: torch.Tensor | None) -> torch.Tensor:
        assert self.dropout is not None
        if self.groups != self.heads:
            k, v = (x.repeat_interleave(self.heads // self.groups, dim=1) for x in (k, v))
        scores = q @ k.transpose(-2, -1) * self.scale
        if kept is not None:
            scores = scores.masked_fill(~kept, torch.finfo(scores.dtype).min)
        weights = scores.softmax(dim=-1)
        if kept is not None:
            weights = weights.masked_fill(~kept, 0.0)  # where nothing is kept the softmax is even
        flat = self.dropout(weights.flatten(1))
        return flat.view_as(weights).to(v.dtype) @ v

    def extra_repr(self) -> str:
        return f"heads={self.heads}, groups={self.groups}, causal={self.causal}, scale={self.scale:.6g}"
