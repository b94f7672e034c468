"""Schedules that stretch over the run, or over periods of it."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt

from dlrun.schedules.base import Schedule, schedules

Share = Annotated[float, Ge(0), Le(1)]


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

    known_as = ("cosine_annealing", "cosine_annealing_lr", "cosine_decay")

    final: Annotated[float, Ge(0)] = 0.0

    def shape(self, t: int, total: int, steps_per_epoch: int) -> float:
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * self._progress(t, total))) / 2


@schedules("cosine_restarts")
class CosineRestarts(Schedule):
    """Half a cosine again and again, each time from the full learning rate and over a longer period.

    factor = f + (1 - f) (1 + cos(pi c / P)) / 2, with f the final share, P the updates of the current period, c those
    completed in it; periods have k S, m k S, m^2 k S, … updates, k the epochs of the first, m the multiplier and S the
    updates of an epoch.

    Args:
        period_epochs: k.
        multiplier: m, a whole number.
        final: f, in [0, 1].
        warmup_steps: W, updates of linear warm-up before the first period.

    Shapes: none.
    Weights: none.
    Errors: none.
    Differs: Keras' CosineDecayRestarts can also lower the peak of each period.
    Source: Loshchilov & Hutter 2016.
    """

    known_as = ("cosine_annealing_warm_restarts", "cosine_decay_restarts")

    period_epochs: Annotated[int, Gt(0)]
    multiplier: Annotated[int, Ge(1)] = 1
    final: Share = 0.0

    def shape(self, t: int, total: int, steps_per_epoch: int) -> float:
        done, period = self._since_warmup(t), self.period_epochs * steps_per_epoch
        if self.multiplier == 1:
            done %= period
        while done >= period:
            done, period = done - period, period * self.multiplier
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * done / period)) / 2


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

    known_as = ("poly",)

    power: Annotated[float, Gt(0)] = 1.0
    final: Annotated[float, Ge(0)] = 0.0

    def shape(self, t: int, total: int, steps_per_epoch: int) -> float:
        remaining: float = (1 - self._progress(t, total)) ** self.power
        return self.final + (1 - self.final) * remaining


@schedules("linear")
class Linear(Schedule):
    """A straight line between two shares of the learning rate.

    factor = s + (f - s) p, with s the first and f the final share and p the progress (t - W) / (T - W) of T updates,
    held at its ends.

    Args:
        start: s.
        final: f.
        warmup_steps: W, updates of linear warm-up.

    Shapes: none.
    Weights: none.
    Errors: none.
    Differs: torch's LinearLR rises from a third to the full rate in five epochs by default.
    Source: none.
    """

    start: Annotated[float, Ge(0)] = 1.0
    final: Annotated[float, Ge(0)] = 0.0

    def shape(self, t: int, total: int, steps_per_epoch: int) -> float:
        return self.start + (self.final - self.start) * self._progress(t, total)


@schedules("one_cycle")
class OneCycle(Schedule):
    """Up to the full learning rate and down to almost nothing, once in a run.

    factor: from s to 1 over updates 0 to q T - 1, then to f at update T - 1, along half a cosine or a straight line,
    with s the first and f the final share, q where the peak lies and T the updates after W of warm-up.

    Args:
        peak: q, in (0, 1).
        start: s.
        final: f.
        curve: The shape of rise and fall.
        warmup_steps: W, updates of linear warm-up to s.

    Shapes: none.
    Weights: none.
    Errors: none.
    Differs: torch's OneCycleLR also moves the momentum against the learning rate, which stays here.
    Source: Smith & Topin 2017.
    """

    peak: Annotated[float, Gt(0), Lt(1)] = 0.3
    start: Annotated[float, Ge(0)] = 0.04
    final: Annotated[float, Ge(0)] = 4e-6
    curve: Literal["cosine", "linear"] = "cosine"

    def shape(self, t: int, total: int, steps_per_epoch: int) -> float:
        span = max(total - self.warmup_steps, 1)
        done, top, last = self._since_warmup(t), self.peak * span - 1, span - 1
        if done <= top:
            return self._between(self.start, 1.0, done / top if top > 0 else 1.0)
        return self._between(1.0, self.final, min((done - top) / (last - top), 1.0))

    def _between(self, start: float, end: float, share: float) -> float:
        if self.curve == "linear":
            return start + (end - start) * share
        return end + (start - end) / 2 * (1 + math.cos(math.pi * share))
