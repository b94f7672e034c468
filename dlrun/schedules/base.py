"""What a schedule is: a closed form in float64 on the host, one value per update."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge

from dlrun.described import described
from dlrun.registry import Registry


@described
class Schedule:
    """A schedule's description; registered with ``@schedules("name")``.

    Args:
        warmup_steps: Updates in which the factor rises to its value in equal steps.
    """

    kind: ClassVar[str] = ""
    watches: ClassVar[bool] = False
    """Whether it follows the validation results (see ``observe``)."""

    warmup_steps: Annotated[int, Ge(0)] = 0

    def shape(self, t: int, total: int, steps_per_epoch: int) -> float:
        """The factor without warm-up, after ``t`` of ``total`` updates."""
        raise NotImplementedError

    def factor(self, t: int, total: int, steps_per_epoch: int) -> float:
        """The factor of the update after ``t`` completed ones."""
        warm = (t + 1) / self.warmup_steps if t < self.warmup_steps else 1.0
        return warm * self.shape(t, total, steps_per_epoch)

    def rates(
        self,
        base: float,
        first: int,
        steps: int,
        total: int,
        steps_per_epoch: int,
        seen: dict[str, Any] | None = None,
    ) -> np.ndarray:
        """Learning rates of ``steps`` updates starting after ``first``: float64 (steps,).

        Args:
            base: The optimizer's learning rate.
            first: Updates completed.
            steps: How many rates.
            total: Updates of the whole run.
            steps_per_epoch: Updates of an epoch.
            seen: What ``observe`` returned last.
        """
        base *= self.observed(seen)
        return np.array([base * self.factor(first + i, total, steps_per_epoch) for i in range(steps)], np.float64)

    def observe(self, seen: dict[str, Any] | None, value: float, higher_is_better: bool) -> dict[str, Any] | None:
        """What to remember after an epoch's validation; JSON-ready, kept in checkpoints.

        Args:
            seen: What it returned the last time, None at first.
            value: The monitored value.
            higher_is_better: Its direction.
        """
        return None

    def observed(self, seen: dict[str, Any] | None) -> float:
        """The factor that past validation results give."""
        return 1.0

    def _since_warmup(self, t: int) -> int:
        return max(t - self.warmup_steps, 0)

    def _progress(self, t: int, total: int) -> float:
        span = max(total - self.warmup_steps, 1)
        return min(self._since_warmup(t) / span, 1.0)


schedules: Registry[Schedule] = Registry("schedule")
