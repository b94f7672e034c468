"""One update: forward, loss, backward, clipping, optimizer, moving average. Nothing here waits for the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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


class Step:
    """Trains a model batch by batch.

    Args:
        recipe: Clipping, precision and the like.
        forward: The model in training mode, native layout in and out.
        parameters: What is trained.
        loss: What is minimised.
        optimizer: Holds ``parameters``.
        rules: Penalties and limits.
        clock: What dropout layers read.
        average: The moving average, or None.
        scale: The loss scale under float16, else None.
        device: Where everything is.
    """

    def __init__(
        self,
        recipe: Recipe,
        forward: Callable[[torch.Tensor], torch.Tensor],
        parameters: Sequence[torch.Tensor],
        loss: NativeLoss,
        optimizer: torch.optim.Optimizer,
        rules: Rules,
        clock: Clock,
        average: MovingAverage | None,
        scale: LossScale | None,
        device: torch.device,
    ) -> None:
        self._forward = forward
        self._parameters = list(parameters)
        self._loss = loss
        self._optimizer = optimizer
        self._rules = rules
        self._clock = clock
        self._average = average
        self._scale = scale
        self._clip_value = recipe.train.clip_value
        self._clip_norm = recipe.train.clip_norm
        self._context = forward_context(recipe.precision, device) if mixed(recipe.precision) else None
        self._counted = 0

    def __call__(self, parts: Sequence[Part], step: int, rate: float) -> torch.Tensor:
        """Update number ``step + 1``; returns the whole batch's loss, a detached scalar on the device.

        Args:
            parts: The batch, in one or more consecutive parts.
            step: Updates completed before.
            rate: Learning rate.
        """
        if self._counted != step:  # restored, or an update was skipped
            set_step(self._optimizer, step)
            self._counted = step
        loss = self.backward(parts, step)
        if self._scale is not None and not self._scale.unscale(self._gradients()):
            return loss
        self._rules.penalise()
        if self._clip_value is not None:
            clip_grad_value_(self._parameters, clip_value=self._clip_value)
        if self._clip_norm is not None:
            clip_grad_norm_(self._parameters, max_norm=self._clip_norm, norm_type=2.0, error_if_nonfinite=False)
        set_rate(self._optimizer, step, rate)
        self._optimizer.step()
        self._rules.limit()
        self._counted = step + 1
        if self._average is not None:
            self._average.update()
        return loss

    def backward(self, parts: Sequence[Part], step: int) -> torch.Tensor:
        """Leave the gradients of update ``step + 1`` in the parameters, times the loss scale; returns the loss."""
        for parameter in self._parameters:
            parameter.grad = None
        self._clock.step = step
        return self._whole(*parts[0]) if len(parts) == 1 else self._in_parts(parts)

    def _whole(self, x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return self._backward(self._loss.mean(self._output(x), target))

    def _in_parts(self, parts: Sequence[Part]) -> torch.Tensor:
        clock = self._clock
        total = self._loss.weight(torch.cat([target for _, target in parts]))
        loss: torch.Tensor | None = None
        try:
            for i, (x, target) in enumerate(parts):
                clock.micro_batch = i
                part = self._backward(self._loss.part(self._output(x), target, total))
                loss = part if loss is None else loss + part
                clock.first_sample += x.shape[0]
        finally:
            clock.micro_batch = clock.first_sample = 0
        assert loss is not None
        return loss

    def _output(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        if self._context is None:
            output = self._forward(to_native(x))
        else:
            with self._context():
                output = self._forward(to_native(x))
        return tuple(map(self._read, output)) if isinstance(output, tuple) else self._read(output)

    def _read(self, output: torch.Tensor) -> torch.Tensor:
        return to_canonical(output if self._context is None else output.float())

    def _backward(self, loss: torch.Tensor) -> torch.Tensor:
        (loss if self._scale is None else loss * self._scale.scale).backward()
        return loss.detach()

    def _gradients(self) -> list[torch.Tensor]:
        return [p.grad for p in self._parameters if p.grad is not None]
