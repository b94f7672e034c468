"""How many updates to run between looks at the clock."""

from __future__ import annotations

TARGET_S = 0.5
"""Aimed duration of one call of the engine, in seconds."""
LARGEST = 1024


class Pace:
    """Picks the number of updates of the next engine call from how long the last ones took.

    Args:
        fixed: A number to use always, or None.

    What it picks changes no result: sums are kept update by update and an engine's bits do not
    depend on the grouping.
    """

    def __init__(self, fixed: int | None = None) -> None:
        self._fixed = fixed
        self._steps = fixed or 8
        self._calls = 0
        self.per_second = 0.0

    def next(self, limit: int) -> int:
        """Updates of the next call, at most ``limit`` and at least 1."""
        return max(1, min(self._steps, limit))

    def took(self, steps: int, seconds: float) -> None:
        """Learn from a call; the first one is not counted, since it may have built something."""
        self._calls += 1
        if self._calls == 1:
            return
        rate = steps / max(seconds, 1e-9)
        self.per_second = rate if not self.per_second else 0.7 * self.per_second + 0.3 * rate
        if self._fixed is None:
            wanted = int(self.per_second * TARGET_S)
            self._steps = max(1, min(wanted, self._steps * 4, LARGEST))
