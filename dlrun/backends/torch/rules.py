"""Penalties on weights and limits that weights are brought back to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from dlrun.backends.torch.weights import Bound
from dlrun.graph.patterns import Constraint
from dlrun.update import Update


class Rules:
    """What the recipe's patterns do around an update.

    Args:
        trainable: What is trained.
        updates: Penalty and limit of each weight, by canonical name.
    """

    def __init__(self, trainable: Sequence[Bound], updates: Mapping[str, Update]) -> None:
        self._penalties = [(b, r.l1, r.l2) for b in trainable if (r := updates[b.name].regularizer) is not None]
        self._limits = [(b, c) for b in trainable if (c := updates[b.name].constraint) is not None]

    @torch.no_grad()
    def penalise(self) -> None:
        """Add the penalties' gradients to the weights'."""
        for b, l1, l2 in self._penalties:
            w = b.tensor
            if w.grad is None:
                w.grad = torch.zeros_like(w)
            if l1:
                w.grad.add_(w.sign(), alpha=l1)
            if l2:
                w.grad.add_(w, alpha=2 * l2)

    @torch.no_grad()
    def limit(self) -> None:
        """Bring weights back within their limits."""
        for b, constraint in self._limits:
            _limit(b.canonical(b.tensor), constraint)


def _limit(w: torch.Tensor, constraint: Constraint) -> None:
    if constraint.non_negative:
        w.clamp_(min=0)
    if constraint.max_norm is None and not constraint.unit_norm:
        return
    norm = (w * w).sum(dim=constraint.axes(tuple(w.shape)), keepdim=True).sqrt()
    if constraint.max_norm is not None:
        w.mul_(constraint.max_norm / norm.clamp(min=constraint.max_norm))
    else:
        w.div_(torch.where(norm > 0, norm, 1.0))
