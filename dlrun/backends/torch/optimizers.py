"""Optimizers in torch: those of ``torch.optim``, whose formulas are dlrun's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from dlrun import optimizers
from dlrun.backends.torch.lowering import lowering, lowers
from dlrun.backends.torch.weights import Bound

_FUSED = ("cpu", "cuda", "mps")


def native_optimizer(spec: optimizers.Optimizer, trainable: Sequence[Bound]) -> torch.optim.Optimizer:
    """The recipe's optimizer over these weights, every slot zero.

    Slots exist from the start, so that they can be saved and restored before the first update.
    """
    if not trainable:  # a model without weights still runs forward; the engine refuses to train it
        return torch.optim.SGD([torch.zeros(1)], lr=spec.learning_rate)
    device = trainable[0].tensor.device
    decayed = [b.tensor for b in trainable if b.weight.decay]
    plain = [b.tensor for b in trainable if not b.weight.decay]
    groups = [{"params": decayed, "weight_decay": spec.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    optimizer: torch.optim.Optimizer = lowering(type(spec))(spec, [g for g in groups if g["params"]], device)
    counts = not isinstance(spec, optimizers.SGD)
    fused = bool(optimizer.defaults.get("fused"))
    for b in trainable:
        state = optimizer.state[b.tensor]
        if counts:  # fused kernels read the count on the device, the others on the host
            state["step"] = torch.zeros((), dtype=torch.float32, device=device if fused else "cpu")
        for slot in spec.slots():
            state[slot] = torch.zeros_like(b.tensor, memory_format=torch.preserve_format)
    return optimizer


def set_step(optimizer: torch.optim.Optimizer, step: int) -> None:
    """Make the next update number ``step + 1`` in bias corrections."""
    for state in optimizer.state.values():
        if "step" in state:
            state["step"].fill_(step)


def _foreach(device: torch.device) -> bool:
    return device.type != "cpu"  # on a CPU the lists only cost time


@lowers(optimizers.SGD)
def sgd(spec: optimizers.SGD, groups: list[dict[str, Any]], device: torch.device) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        groups,
        lr=spec.learning_rate,
        momentum=spec.momentum,
        dampening=0.0,
        nesterov=spec.nesterov,
        maximize=False,
        **_kernel(device),
    )


@lowers(optimizers.Adam)
def adam(spec: optimizers.Adam, groups: list[dict[str, Any]], device: torch.device) -> torch.optim.Optimizer:
    return torch.optim.Adam(
        groups,
        lr=spec.learning_rate,
        betas=spec.betas,
        eps=spec.epsilon,
        amsgrad=False,
        maximize=False,
        **_kernel(device),
    )


@lowers(optimizers.AdamW)
def adamw(spec: optimizers.AdamW, groups: list[dict[str, Any]], device: torch.device) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        groups,
        lr=spec.learning_rate,
        betas=spec.betas,
        eps=spec.epsilon,
        amsgrad=False,
        maximize=False,
        **_kernel(device),
    )


@lowers(optimizers.RMSprop)
def rmsprop(spec: optimizers.RMSprop, groups: list[dict[str, Any]], device: torch.device) -> torch.optim.Optimizer:
    return torch.optim.RMSprop(
        groups,
        lr=spec.learning_rate,
        alpha=spec.alpha,
        eps=spec.epsilon,
        momentum=spec.momentum,
        centered=spec.centered,
        maximize=False,
        foreach=_foreach(device),
    )


def _kernel(device: torch.device) -> dict[str, bool]:
    """One fused kernel per update where torch has it."""
    fused = device.type in _FUSED
    return {"fused": fused, "foreach": not fused and _foreach(device)}
