"""Copying from a source, in torch."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from dlrun.backends.torch.lowering import lowers
from dlrun.graph import Node
from dlrun.layers import pointer

_LEAST = 1e-30
"""The smallest share that is copied; below it a logarithm's gradient would overflow."""


@lowers(pointer.AttentionScores)
def attention_scores(layer: pointer.AttentionScores, node: Node) -> nn.Module:
    return AttentionScores(1 / math.sqrt(node.input_types[0].shape[1]))


class AttentionScores(nn.Module):
    """Scaled dot products: (N, T, C), (N, S, C) -> (N, T, S)."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        return query @ key.transpose(1, 2) * self.scale


@lowers(pointer.PointerLogits)
def pointer_logits(layer: pointer.PointerLogits, node: Node) -> nn.Module:
    return PointerLogits()


class PointerLogits(nn.Module):
    """Logits (N, T, V), scores (N, T, S), gate (N, T, 1), ids (N, S), mask (N, S) -> log-probabilities (N, T, V)."""

    def forward(
        self,
        logits: torch.Tensor,
        scores: torch.Tensor,
        gate: torch.Tensor,
        source: torch.Tensor,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        weights = self._weights(scores, mask)
        outside = (source < 0) | (source >= logits.shape[-1])
        where = source.masked_fill(outside, 0).unsqueeze(1).expand(-1, scores.shape[1], -1)
        shares = weights.masked_fill(outside.unsqueeze(1), 0.0)
        copied = torch.zeros_like(logits, dtype=weights.dtype).scatter_add(-1, where, shares)
        chosen = F.logsigmoid(gate) + logits.log_softmax(dim=-1)
        some = copied > _LEAST
        pointed = F.logsigmoid(-gate) + torch.where(some, copied, 1.0).log()
        return torch.where(some, torch.logaddexp(chosen, pointed), chosen)

    def _weights(self, scores: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        if mask is None:
            return scores.softmax(dim=-1)
        dropped = ~mask.bool().unsqueeze(1)
        weights = scores.masked_fill(dropped, torch.finfo(scores.dtype).min).softmax(dim=-1)
        return weights.masked_fill(dropped, 0.0)
