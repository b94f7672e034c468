"""Optimizers that ``torch.optim`` does not have, or has with another meaning."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import torch

from dlrun import optimizers

Tensors = list[torch.Tensor]


class OwnOptimizer(torch.optim.Optimizer):
    """What ours have in common: ``t`` counts the updates done; slots are made by who creates it.

    Args:
        spec: The description.
        groups: Parameter groups with ``weight_decay``, and ``views``: what shows a parameter in canonical layout.
    """

    canonical: ClassVar[bool] = False
    """Whether slots have canonical layout and shapes of their own."""

    def __init__(self, spec: optimizers.Optimizer, groups: list[dict[str, Any]]) -> None:
        super().__init__(groups, {"lr": spec.learning_rate, "weight_decay": 0.0})
        self.t = 0

    # torch declares a closure that gives the loss, and that loss as the result; rules here have neither
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Do one update."""
        assert closure is None
        self.t += 1
        for group in self.param_groups:
            chosen = [i for i, p in enumerate(group["params"]) if p.grad is not None]
            if chosen:
                weights = [group["params"][i] for i in chosen]
                self._update(weights, [w.grad for w in weights], group, chosen)

    def _slot(self, weights: Tensors, slot: str) -> Tensors:
        return [self.state[w][slot] for w in weights]

    def _update(self, weights: Tensors, gradients: Tensors, group: dict[str, Any], chosen: list[int]) -> None:
        """The rule itself, which each optimizer says: ``chosen`` are the places of ``weights`` in the group."""
        raise NotImplementedError


class Lion(OwnOptimizer):
    """See ``dlrun.optimizers.Lion``."""

    def __init__(self, spec: optimizers.Lion, groups: list[dict[str, Any]]) -> None:
        super().__init__(spec, groups)
        self._betas = spec.betas

    def _update(self, weights: Tensors, gradients: Tensors, group: dict[str, Any], chosen: list[int]) -> None:
        first, second = self._betas
        means = self._slot(weights, "exp_avg")
        if group["weight_decay"]:
            torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
        steps = torch._foreach_lerp(means, gradients, 1 - first)
        torch._foreach_sign_(steps)
        torch._foreach_add_(weights, steps, alpha=-group["lr"])
        torch._foreach_lerp_(means, gradients, 1 - second)


class LAMB(OwnOptimizer):
    """See ``dlrun.optimizers.LAMB``."""

    def __init__(self, spec: optimizers.LAMB, groups: list[dict[str, Any]]) -> None:
        super().__init__(spec, groups)
        self._betas, self._epsilon = spec.betas, spec.epsilon

    def _update(self, weights: Tensors, gradients: Tensors, group: dict[str, Any], chosen: list[int]) -> None:
        first, second = self._betas
        means, squares = self._slot(weights, "exp_avg"), self._slot(weights, "exp_avg_sq")
        torch._foreach_lerp_(means, gradients, 1 - first)
        torch._foreach_mul_(squares, second)
        torch._foreach_addcmul_(squares, gradients, gradients, value=1 - second)
        roots = torch._foreach_sqrt(squares)
        torch._foreach_div_(roots, math.sqrt(1 - second**self.t))
        torch._foreach_add_(roots, self._epsilon)
        torch._foreach_mul_(roots, 1 - first**self.t)
        steps = torch._foreach_div(means, roots)
        if group["weight_decay"]:
            torch._foreach_add_(steps, weights, alpha=group["weight_decay"])
        sizes = zip(torch._foreach_norm(weights), torch._foreach_norm(steps), strict=True)
        # quotients stay on the device; 0 / 0 is not chosen
        trusts = [torch.where((w > 0) & (u > 0), w / u, 1.0) for w, u in sizes]
        torch._foreach_mul_(steps, [trust.to(steps[0].dtype) for trust in trusts])
        torch._foreach_add_(weights, steps, alpha=-group["lr"])


class Adafactor(OwnOptimizer):
    """See ``dlrun.optimizers.Adafactor``; rows and columns are those of the canonical layout."""

    canonical: ClassVar[bool] = True

    def __init__(self, spec: optimizers.Adafactor, groups: list[dict[str, Any]]) -> None:
        super().__init__(spec, groups)
        self._spec = spec

    def _update(self, weights: Tensors, gradients: Tensors, group: dict[str, Any], chosen: list[int]) -> None:
        spec = self._spec
        share, most = spec.factors(self.t, group["lr"])
        for i, weight, gradient in zip(chosen, weights, gradients, strict=True):
            view: Callable[[torch.Tensor], torch.Tensor] = group["views"][i]
            w, g, state = view(weight), view(gradient), self.state[weight]
            root = math.sqrt(w.numel())
            size = (torch.linalg.vector_norm(w) / root).clamp_(min=spec.floor)
            if group["weight_decay"]:
                w.mul_(1 - group["lr"] * group["weight_decay"])
            square = g.square()
            if w.dim() < 2:
                v = state["variance"].lerp_(square, share)
            else:
                rows = state["row_var"].lerp_(square.mean(dim=-1, keepdim=True), share)
                columns = state["col_var"].lerp_(square.mean(dim=-2, keepdim=True), share)
                v = rows * columns / rows.mean(dim=-2, keepdim=True).clamp_(min=spec.epsilon)
            u = g / v.clamp(min=spec.epsilon**2).sqrt_()
            longest = (torch.linalg.vector_norm(u) / root / spec.clipping).clamp_(min=1.0)
            w.sub_(u * (size * most / longest))
