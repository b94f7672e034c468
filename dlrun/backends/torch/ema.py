"""The moving average of weights that evaluation uses."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from dlrun.backends.torch.model import Model
from dlrun.backends.torch.weights import Bound


class MovingAverage:
    """e <- d e + (1 - d) w after every update, the first of which copies; d the decay.

    Args:
        decay: d.
        current: The model being trained.
        averaged: The same model built a second time; its weights become the averages, its running
            statistics and frozen weights those of ``current``.
    """

    def __init__(self, decay: float, current: Model, averaged: Model) -> None:
        self.model = averaged
        self.started = False
        self._decay = decay
        self._current: list[torch.Tensor] = []
        self._average: list[torch.Tensor] = []
        self._live: list[tuple[Bound, Bound]] = []
        for now, mean in zip(current.bound, averaged.bound, strict=True):
            if now.weight.trainable:
                self._current.append(now.tensor)
                self._average.append(mean.tensor.requires_grad_(False))
            else:
                self._live.append((now, mean))
        self.follow()

    def follow(self) -> None:
        """Read what is not averaged where the current model keeps it.

        Layers that share a weight hold the one tensor, so its memory is exchanged and not the tensor in one of them.
        Once is not enough: a module of one's own may put a new tensor in the place of a running statistic.
        """
        for now, mean in self._live:
            mean.tensor.data = now.tensor.data

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights after an update into the average."""
        if self.started:
            torch._foreach_lerp_(self._average, self._current, 1 - self._decay)
        else:
            torch._foreach_copy_(self._average, self._current)
            self.started = True

    def restore(self, values: Mapping[str, np.ndarray]) -> None:
        """Continue from averages by canonical name; without any, the next update copies.

        Running statistics are those of the current model and are not written.
        """
        self.started = bool(values)
        if self.started:
            with torch.no_grad():
                torch._foreach_copy_(self._average, self._current)
        for b in self.model.bound:
            if b.weight.trainable and b.name in values:
                b.write(b.tensor, values[b.name])
