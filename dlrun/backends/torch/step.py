"""One update: forward, loss, backward, clipping, optimizer, moving average. Nothing here waits for the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from dlrun.backends.torch.dropout import Clock
from dlrun.backends.torch.ema import MovingAverage
from dlrun.backends.torch.layout import to_canonical, to_native
from dlrun.backends.torch.losses import NativeLoss
from dlrun.backends.torch.optimizers import set_rate, set_step
from dlrun.backends.torch.precision import LossScale, forward_context, mixed
from dlrun.backends.torch.rules import Rules
from dlrun.recipe import Recipe

Part = tuple[torch.Tensor, torch.Tensor]
"""Samples (B, *) in canonical layout and labels as the loss reads them."""
Forward = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Objective:
    """Some of the weights and what they minimise.

    Args:
        forward: The model in training mode, native layout in and out; of its outputs, those that the loss reads.
        parameters: What is trained.
        loss: What is minimised.
        rules: Penalties and limits.
        steady: Whether the loss reaches the same weights in every update; a user's own code may choose.
    """

    forward: Forward
    parameters: list[torch.Tensor]
    loss: NativeLoss
    rules: Rules
    steady: bool = True


class Step:
    """Trains a model batch by batch.

    Args:
        recipe: Clipping, precision and the like.
        objectives: What an update consists of, in order; usually one.
        optimizer: Holds the parameters of all.
        clock: What dropout layers read.
        average: The moving average, or None.
        scale: The loss scale under float16, else None.
        device: Where everything is.
    """

    def __init__(
        self,
        recipe: Recipe,
        objectives: Sequence[Objective],
        optimizer: torch.optim.Optimizer,
        clock: Clock,
        average: MovingAverage | None,
        scale: LossScale | None,
        device: torch.device,
    ) -> None:
        self._objectives = list(objectives)
        self._parameters = list({id(p): p for o in objectives for p in o.parameters}.values())
        self._optimizer = optimizer
        self._clock = clock
        self._average = average
        self._scale = scale
        self._clip_value = recipe.train.clip_value
        self._clip_norm = recipe.train.clip_norm
        self._context = forward_context(recipe.precision, device) if mixed(recipe.precision) else None
        self._counted = 0
        self._unreached: dict[int, list[torch.Tensor]] = {}

    def __call__(self, parts: Sequence[Part], step: int, rate: float) -> torch.Tensor:
        """Update number ``step + 1``; returns the whole batch's loss, a detached scalar on the device.

        With several objectives each is followed by an update of its own weights, and the losses are added up.

        Args:
            parts: The batch, in one or more consecutive parts.
            step: Updates completed before.
            rate: Learning rate.
        """
        first, *others = self._objectives
        loss = self._minimise(first, parts, step, rate)
        for objective in others:
            loss = loss + self._minimise(objective, parts, step, rate)
        if self._average is not None and self._counted > step:
            self._average.update()
        if others:
            self._counted = -1  # the last one set the count of all weights back and moved on that of its own
        return loss

    def _minimise(self, objective: Objective, parts: Sequence[Part], step: int, rate: float) -> torch.Tensor:
        """Update the weights of one objective; returns its loss."""
        if self._counted != step:  # restored, an update was skipped, or another objective has counted
            set_step(self._optimizer, step)
            self._counted = step
        self._clear()
        loss = self._gradients_of(objective, parts, step)
        if self._scale is not None and not self._scale.unscale(self._gradients()):
            return loss
        self._complete(objective)
        objective.rules.penalise()
        if self._clip_value is not None:
            clip_grad_value_(objective.parameters, clip_value=self._clip_value)
        if self._clip_norm is not None:
            clip_grad_norm_(objective.parameters, max_norm=self._clip_norm, norm_type=2.0, error_if_nonfinite=False)
        set_rate(self._optimizer, step, rate)
        self._optimizer.step()  # leaves alone what has no gradient: the weights of other objectives
        objective.rules.limit()
        self._counted = step + 1
        return loss

    def _complete(self, objective: Objective) -> None:
        """Give weights that the loss does not reach a gradient of zeros: momentum and weight decay go on."""
        if objective.steady and id(objective) in self._unreached:
            unreached = self._unreached[id(objective)]
        else:
            unreached = self._unreached[id(objective)] = [p for p in objective.parameters if p.grad is None]
        for parameter in unreached:
            parameter.grad = torch.zeros_like(parameter)

    def backward(self, parts: Sequence[Part], step: int) -> None:
        """Leave the gradients of update ``step + 1`` in the parameters, times the loss scale.

        With several objectives, those of each as the weights are before the update.
        """
        self._clear()
        for objective in self._objectives:
            self._gradients_of(objective, parts, step)

    def _clear(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None

    def _gradients_of(self, objective: Objective, parts: Sequence[Part], step: int) -> torch.Tensor:
        """Add the gradients of one objective to those of its parameters; returns its loss."""
        self._clock.step = step
        return self._whole(objective, *parts[0]) if len(parts) == 1 else self._in_parts(objective, parts)

    def _whole(self, objective: Objective, x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return self._backward(objective, objective.loss.mean(self._output(objective, x), target))

    def _in_parts(self, objective: Objective, parts: Sequence[Part]) -> torch.Tensor:
        clock = self._clock
        total = objective.loss.weight(torch.cat([target for _, target in parts]))
        loss: torch.Tensor | None = None
        try:
            for i, (x, target) in enumerate(parts):
                clock.micro_batch = i
                part = self._backward(objective, objective.loss.part(self._output(objective, x), target, total))
                loss = part if loss is None else loss + part
                clock.first_sample += x.shape[0]
        finally:
            clock.micro_batch = clock.first_sample = 0
        assert loss is not None
        return loss

    def _output(self, objective: Objective, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        if self._context is None:
            output = objective.forward(to_native(x))
        else:
            with self._context():
                output = objective.forward(to_native(x))
        return tuple(map(self._read, output)) if isinstance(output, tuple) else self._read(output)

    def _read(self, output: torch.Tensor) -> torch.Tensor:
        return to_canonical(output if self._context is None else output.float())

    def _backward(self, objective: Objective, loss: torch.Tensor) -> torch.Tensor:
        only = None if len(self._objectives) == 1 else objective.parameters
        (loss if self._scale is None else loss * self._scale.scale).backward(inputs=only)
        return loss.detach()

    def _gradients(self) -> list[torch.Tensor]:
        return [p.grad for p in self._parameters if p.grad is not None]
