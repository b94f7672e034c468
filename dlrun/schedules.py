"""Learning-rate schedules: closed forms in float64 on the host, one value per update.

``factor(t)`` multiplies the optimizer's learning rate for the update after ``t`` completed ones.
All share a linear warm-up: for t < W the factor is multiplied by (t + 1) / W.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Gt

from dlrun.described import described
from dlrun.registry import Registry


@described
class Schedule:
    """A schedule's description; registered with ``@schedules("name")``."""

    kind: ClassVar[str] = ""
    warmup_steps: Annotated[int, Ge(0)] = 0

    def shape(self, t: int, total: int, steps_per_epoch: int) -> float:
        """The factor without warm-up, after ``t`` of ``total`` updates."""
        raise NotImplementedError

    def factor(self, t: int, total: int, steps_per_epoch: int) -> float:
        """The factor of the update after ``t`` completed ones."""
        warm = (t + 1) / self.warmup_steps if t < self.warmup_steps else 1.0
        return warm * self.shape(t, total, steps_per_epoch)

    def rates(self, base: float, first: int, steps: int, total: int, steps_per_epoch: int) -> np.ndarray:
        """Learning rates of ``steps`` updates starting after ``first``: float64 (steps,)."""
        return np.array([base * self.factor(first + i, total, steps_per_epoch) for i in range(steps)], np.float64)

    def _progress(self, t: int, total: int) -> float:
        span = max(total - self.warmup_steps, 1)
        return min(max(t - self.warmup_steps, 0) / span, 1.0)


schedules: Registry[Schedule] = Registry("schedule")


@schedules("constant")
class Constant(Schedule):
    """The same learning rate throughout.

    factor = 1.

    Args:
        warmup_steps: W, updates of linear warm-up.

    Shapes: none.
    Weights: none.
    Errors: none.
    Differs: nothing.
    Source: none.
    """

    def shape(self, t: int, total: int, steps_per_epoch: int) -> float:
        return 1.0


@schedules("step")
class Step(Schedule):
    """The learning rate falls by a factor every few epochs.

    factor = g^floor(t / (k S)), with g the gamma, k the epochs between falls and S the updates of
    an epoch.

    Args:
        every_epochs: k.
        gamma: g, above 0.
        warmup_steps: W, updates of linear warm-up.

    Shapes: none.
    Weights: none.
    Errors: none.
    Differs: Keras' PiecewiseConstantDecay falls one update later.
    Source: none.
    """

    every_epochs: Annotated[int, Gt(0)]
    gamma: Annotated[float, Gt(0)] = 0.1

    def shape(self, t: int, total: int, steps_per_epoch: int) -> float:
        return self.gamma ** (t // (self.every_epochs * steps_per_epoch))


@schedules("cosine")
class Cosine(Schedule):
    """Half a cosine from the full learning rate down to a final share.

    factor = f + (1 - f) (1 + cos(pi p)) / 2, with f the final share and p the progress
    (t - W) / (T - W) of T updates, held at its ends.

    Args:
        final: f, in [0, 1].
        warmup_steps: W, updates of linear warm-up.

    Shapes: none.
    Weights: none.
    Errors: none.
    Differs: torch's CosineAnnealingLR rises again after T.
    Source: Loshchilov & Hutter 2016.
    """

    final: Annotated[float, Ge(0)] = 0.0

    def shape(self, t: int, total: int, steps_per_epoch: int) -> float:
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * self._progress(t, total))) / 2


@schedules("polynomial")
class Polynomial(Schedule):
    """A power of the remaining share of the run; power 1 is a straight line.

    factor = f + (1 - f) (1 - p)^k, with f the final share, k the power and p the progress
    (t - W) / (T - W) of T updates, held at its ends.

    Args:
        power: k, above 0.
        final: f, in [0, 1].
        warmup_steps: W, updates of linear warm-up.

    Shapes: none.
    Weights: none.
    Errors: none.
    Differs: nothing.
    Source: Chen et al. 2017 (DeepLab).
    """

    power: Annotated[float, Gt(0)] = 1.0
    final: Annotated[float, Ge(0)] = 0.0

    def shape(self, t: int, total: int, steps_per_epoch: int) -> float:
        remaining: float = (1 - self._progress(t, total)) ** self.power
        return self.final + (1 - self.final) * remaining
