"""Optimizers in torch: those of ``torch.optim``, whose formulas are dlrun's, and a few of our own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from dlrun import optimizers
from dlrun.backends.torch.lowering import lowering, lowers
from dlrun.backends.torch.own_optimizers import LAMB, Adafactor, Lion, OwnOptimizer
from dlrun.backends.torch.weights import Bound
from dlrun.update import Update

_FUSED = ("cpu", "cuda", "mps")
Groups = list[dict[str, Any]]


def native_optimizer(
    spec: optimizers.Optimizer, trainable: Sequence[Bound], updates: Mapping[str, Update]
) -> torch.optim.Optimizer:
    """The recipe's optimizer over these weights, every slot as before the first update.

    Slots exist from the start, so that they can be saved and restored before the first update.

    Args:
        spec: The description.
        trainable: What is trained.
        updates: Learning rate and weight decay of each weight, by canonical name.
    """
    if not trainable:  # a model without weights still runs forward; the engine refuses to train it
        return torch.optim.SGD([torch.zeros(1)], lr=spec.learning_rate)
    device = trainable[0].tensor.device
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for b in trainable:
        update = updates[b.name]
        group = groups.setdefault(
            (update.multiplier, update.decay),
            {"params": [], "views": [], "multiplier": update.multiplier, "weight_decay": update.decay},
        )
        group["params"].append(b.tensor)
        group["views"].append(b.canonical)
    optimizer: torch.optim.Optimizer = lowering(type(spec))(spec, list(groups.values()), device)
    for b in trainable:
        state = optimizer.state[b.tensor]
        state.update(_counters(optimizer, device))
        for slot, shape in spec.slots(b.weight.shape).items():
            like = b.tensor if not _canonical(optimizer) else b.tensor.new_empty(shape)
            state[slot] = torch.full_like(like, spec.start(slot), memory_format=torch.preserve_format)
    return optimizer


def _counters(optimizer: torch.optim.Optimizer, device: torch.device) -> dict[str, torch.Tensor]:
    """What torch counts beside the slots; fused kernels read it on the device, the others on the host."""
    if isinstance(optimizer, torch.optim.SGD | OwnOptimizer):
        return {}
    place = device if optimizer.defaults.get("fused") else torch.device("cpu")
    counters = {"step": torch.zeros((), dtype=torch.float32, device=place)}
    if isinstance(optimizer, torch.optim.NAdam):
        counters["mu_product"] = torch.ones((), dtype=torch.float64)
    return counters


def set_step(optimizer: torch.optim.Optimizer, step: int) -> None:
    """Make the next update number ``step + 1`` in bias corrections."""
    if isinstance(optimizer, OwnOptimizer):
        optimizer.t = step
        return
    product = None
    if isinstance(optimizer, torch.optim.NAdam):
        product = optimizers.nadam_product(optimizer.defaults["betas"][0], optimizer.defaults["momentum_decay"], step)
    for state in optimizer.state.values():
        if "step" in state:
            state["step"].fill_(step)
        if product is not None:
            state["mu_product"].fill_(product)


def set_rate(optimizer: torch.optim.Optimizer, step: int, rate: float) -> None:
    """Set what update number ``step + 1`` needs from the host."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["multiplier"]
        if "dampening" in group:  # the buffer exists from the start, so torch does not see which update is the first
            group["dampening"] = 0.0 if step == 0 else optimizer.defaults["dampening"]


def _canonical(optimizer: torch.optim.Optimizer) -> bool:
    return isinstance(optimizer, OwnOptimizer) and optimizer.canonical


def read_slots(optimizer: torch.optim.Optimizer, spec: optimizers.Optimizer, b: Bound) -> dict[str, np.ndarray]:
    """Copies of a weight's slots, in canonical layout."""
    state = optimizer.state[b.tensor]
    if _canonical(optimizer):
        return {slot: state[slot].cpu().numpy().copy() for slot in spec.slots(b.weight.shape)}
    return {slot: b.read(state[slot]) for slot in spec.slots(b.weight.shape)}


def write_slot(
    optimizer: torch.optim.Optimizer, spec: optimizers.Optimizer, b: Bound, slot: str, value: np.ndarray | None
) -> None:
    """Set one slot of a weight, to its start without a value."""
    tensor = optimizer.state[b.tensor][slot]
    with torch.no_grad():
        if value is None:
            tensor.fill_(spec.start(slot))
        elif _canonical(optimizer):
            tensor.copy_(torch.from_numpy(np.array(value, order="C")))
        else:
            b.write(tensor, value)


def _foreach(device: torch.device) -> bool:
    return device.type != "cpu"  # on a CPU the lists only cost time


def _kernel(device: torch.device) -> dict[str, bool]:
    """One fused kernel per update where torch has it."""
    fused = device.type in _FUSED
    return {"fused": fused, "foreach": not fused and _foreach(device)}


@lowers(optimizers.SGD)
def sgd(spec: optimizers.SGD, groups: Groups, device: torch.device) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        groups,
        lr=spec.learning_rate,
        momentum=spec.momentum,
        dampening=spec.dampening,
        nesterov=spec.nesterov,
        maximize=False,
        **_kernel(device),
    )


_ADAM = {optimizers.Adam: torch.optim.Adam, optimizers.AdamW: torch.optim.AdamW}


@lowers(optimizers.Adam)
@lowers(optimizers.AdamW)
def adam(spec: optimizers.Adam | optimizers.AdamW, groups: Groups, device: torch.device) -> torch.optim.Optimizer:
    return _ADAM[type(spec)](
        groups,
        lr=spec.learning_rate,
        betas=spec.betas,
        eps=spec.epsilon,
        amsgrad=spec.amsgrad,
        maximize=False,
        **_kernel(device),
    )


@lowers(optimizers.Adamax)
def adamax(spec: optimizers.Adamax, groups: Groups, device: torch.device) -> torch.optim.Optimizer:
    return torch.optim.Adamax(
        groups, lr=spec.learning_rate, betas=spec.betas, eps=spec.epsilon, maximize=False, foreach=_foreach(device)
    )


@lowers(optimizers.NAdam)
def nadam(spec: optimizers.NAdam, groups: Groups, device: torch.device) -> torch.optim.Optimizer:
    return torch.optim.NAdam(
        groups,
        lr=spec.learning_rate,
        betas=spec.betas,
        eps=spec.epsilon,
        momentum_decay=spec.momentum_decay,
        decoupled_weight_decay=spec.decoupled,
        maximize=False,
        foreach=_foreach(device),
    )


@lowers(optimizers.RAdam)
def radam(spec: optimizers.RAdam, groups: Groups, device: torch.device) -> torch.optim.Optimizer:
    return torch.optim.RAdam(
        groups,
        lr=spec.learning_rate,
        betas=spec.betas,
        eps=spec.epsilon,
        decoupled_weight_decay=spec.decoupled,
        maximize=False,
        foreach=_foreach(device),
    )


@lowers(optimizers.RMSprop)
def rmsprop(spec: optimizers.RMSprop, groups: Groups, device: torch.device) -> torch.optim.Optimizer:
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


@lowers(optimizers.Adagrad)
def adagrad(spec: optimizers.Adagrad, groups: Groups, device: torch.device) -> torch.optim.Optimizer:
    return torch.optim.Adagrad(
        groups,
        lr=spec.learning_rate,
        lr_decay=spec.learning_rate_decay,
        initial_accumulator_value=spec.initial_sum,
        eps=spec.epsilon,
        maximize=False,
        foreach=_foreach(device),
    )


@lowers(optimizers.Adadelta)
def adadelta(spec: optimizers.Adadelta, groups: Groups, device: torch.device) -> torch.optim.Optimizer:
    return torch.optim.Adadelta(
        groups, lr=spec.learning_rate, rho=spec.rho, eps=spec.epsilon, maximize=False, foreach=_foreach(device)
    )


_OWN: dict[type[optimizers.Optimizer], type[OwnOptimizer]] = {
    optimizers.Lion: Lion,
    optimizers.LAMB: LAMB,
    optimizers.Adafactor: Adafactor,
}


@lowers(optimizers.Lion)
@lowers(optimizers.LAMB)
@lowers(optimizers.Adafactor)
def own_optimizer(spec: optimizers.Optimizer, groups: Groups, device: torch.device) -> torch.optim.Optimizer:
    return _OWN[type(spec)](spec, groups)
