"""Schedules that fall at certain epochs, or by a law that does not know the run's length."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le, Lt

from dlrun.errors import DlrunError
from dlrun.schedules.base import Schedule, schedules


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


@schedules("multi_step")
class MultiStep(Schedule):
    """The learning rate falls by a factor at chosen epochs.

    factor = g^n, with g the gamma and n the number of milestones m with t >= m S, S the updates of an epoch.

    Args:
        milestones: Epochs completed before each fall, rising, e.g. `[30, 60, 80]`.
        gamma: g, above 0.
        warmup_steps: W, updates of linear warm-up.

    Shapes: none.
    Weights: none.
    Errors: milestones-order.
    Differs: Keras' PiecewiseConstantDecay falls one update later.
    Source: none.
    """

    milestones: tuple[Annotated[int, Gt(0)], ...]
    gamma: Annotated[float, Gt(0)] = 0.1

    def __post_init__(self) -> None:
        if not self.milestones or any(a >= b for a, b in zip(self.milestones, self.milestones[1:], strict=False)):
            raise DlrunError(
                "milestones-order",
                f"`{list(self.milestones)}` must be epochs in rising order, at least one.",
                path=("milestones",),
            )

    def shape(self, t: int, total: int, steps_per_epoch: int) -> float:
        return self.gamma ** sum(t >= m * steps_per_epoch for m in self.milestones)


@schedules("exponential")
class Exponential(Schedule):
    """The learning rate falls by the same share with every update.

    factor = g^((t - W) / (k S)), with g the gamma, k the epochs in which the rate falls to the share g and S the
    updates of an epoch; 1 before W.

    Args:
        gamma: g, in (0, 1].
        every_epochs: k; need not be whole.
        warmup_steps: W, updates of linear warm-up.

    Shapes: none.
    Weights: none.
    Errors: none.
    Differs: torch's ExponentialLR falls at the end of an epoch; that is ``step`` with ``every_epochs: 1``.
    Source: none.
    """

    gamma: Annotated[float, Gt(0), Le(1)] = 0.95
    every_epochs: Annotated[float, Gt(0)] = 1.0

    def shape(self, t: int, total: int, steps_per_epoch: int) -> float:
        return float(self.gamma ** (self._since_warmup(t) / (self.every_epochs * steps_per_epoch)))


@schedules("inverse_sqrt")
class InverseSqrt(Schedule):
    """The learning rate falls with the root of the number of updates, after a warm-up.

    factor = min((t + 1) / W, sqrt(W / (t + 1))), with W the updates of warm-up, at least 1.

    Args:
        warmup_steps: W; the full learning rate is reached with update W.

    Shapes: none.
    Weights: none.
    Errors: none.
    Differs: the paper's rate is this one with a learning rate of 1 / sqrt(d W), d the width of the model.
    Source: Vaswani et al. 2017.
    """

    def shape(self, t: int, total: int, steps_per_epoch: int) -> float:
        return 1.0 if t < self.warmup_steps else math.sqrt(max(self.warmup_steps, 1) / (t + 1))


@schedules("reduce_on_plateau")
class ReduceOnPlateau(Schedule):
    """The learning rate falls when validation has stopped improving.

    factor = max(f, g^n), with g the gamma, f the final share and n the falls so far. An epoch improves when
    the monitored value (`train.monitor`) is better than the best before by more than a margin; after more than p epochs
    in a row without improvement n rises by one, and the count starts anew.

    Args:
        gamma: g, in (0, 1).
        patience: p, epochs without improvement that are tolerated.
        min_delta: The margin, in the monitored value's units.
        cooldown: Epochs after a fall that are not counted.
        final: f, in [0, 1].
        warmup_steps: W, updates of linear warm-up.

    Shapes: none.
    Weights: none.
    Errors: contradiction (no validation samples).
    Differs: torch's default margin is a ten-thousandth of the best value; Keras' patience counts one epoch less.
    Source: none.
    """

    known_as = ("plateau",)

    watches: ClassVar[bool] = True

    gamma: Annotated[float, Gt(0), Lt(1)] = 0.1
    patience: Annotated[int, Ge(0)] = 10
    min_delta: Annotated[float, Ge(0)] = 0.0
    cooldown: Annotated[int, Ge(0)] = 0
    final: Annotated[float, Ge(0), Le(1)] = 0.0

    def shape(self, t: int, total: int, steps_per_epoch: int) -> float:
        return 1.0

    def observe(self, seen: dict[str, Any] | None, value: float, higher_is_better: bool) -> dict[str, Any] | None:
        now = {"best": None, "waited": 0, "cooling": 0, "falls": 0, **(seen or {})}
        sign = 1 if higher_is_better else -1
        improved = now["best"] is None or sign * (value - now["best"]) > self.min_delta
        if math.isfinite(value) and improved:
            now["best"], now["waited"] = value, 0
        else:
            now["waited"] += 1
        if now["cooling"] > 0:
            now["cooling"], now["waited"] = now["cooling"] - 1, 0
        if now["waited"] > self.patience:
            now["falls"], now["waited"], now["cooling"] = now["falls"] + 1, 0, self.cooldown
        return now

    def observed(self, seen: dict[str, Any] | None) -> float:
        share: float = max(self.final, self.gamma ** (seen or {}).get("falls", 0))
        return share
