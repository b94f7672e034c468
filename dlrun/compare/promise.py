"""What is promised of two backends, and whether a measurement keeps it.

float64 losses agree to 1e-12 over 20 updates (1e-11 with recurrent layers), float32 losses to 1e-5 over 10
and to 1e-3 over 50; or to ten times the recipe's own noise where that is larger. The noise is how far
a backend is from itself when every initial weight moves to a neighbouring floating-point number; a noise of
0.1 or more allows nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dlrun.graph import Graph

LIMITS: dict[str, tuple[tuple[int, float], ...]] = {
    "float64": ((20, 1e-12),),
    "float32": ((10, 1e-5), (50, 1e-3)),
}
"""By precision: (updates, largest relative difference of losses up to there)."""
RECURRENT = 1e-11
"""The float64 limit of models with recurrent layers, whose sums over time add up more roundings."""
NOISE_FACTOR = 10
LARGEST_NOISE = 0.1
"""A recipe that is noisier says nothing of two backends: ten times its noise would allow any loss."""


@dataclass(frozen=True)
class Check:
    """One limit and what was measured against it.

    Args:
        steps: Updates it speaks of.
        limit: The promise without noise.
        difference: Largest relative difference of losses up to there.
        noise: The recipe's own noise up to there, or None where it was not measured.
        allowed: ``limit``, or ten times the noise where that is larger and below ``LARGEST_NOISE``.
        first_past: The first update that differs by more than ``allowed``, or None.
    """

    steps: int
    limit: float
    difference: float
    noise: float | None
    allowed: float
    first_past: int | None

    @property
    def holds(self) -> bool:
        """Whether the promise is kept."""
        return self.first_past is None

    @property
    def too_noisy(self) -> bool:
        """Whether it is missed and the recipe is so noisy that nothing follows for the backends."""
        return not self.holds and self.noise is not None and not self.noise < LARGEST_NOISE

    @property
    def by_noise(self) -> bool:
        """Whether it is kept only because the recipe itself is that noisy."""
        return self.holds and self.difference > self.limit


def default_steps(dtype: str) -> int:
    """Updates that the promise of a precision speaks of."""
    return LIMITS[dtype][-1][0]


def noise_of(base: Sequence[float], repetitions: np.ndarray) -> np.ndarray | None:
    """Largest relative difference of the repetitions from ``base`` up to each update, float64 (updates,)."""
    if not len(repetitions):
        return None
    reference = np.asarray(base, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.abs(repetitions - reference) / np.abs(reference)
    found = np.where(repetitions == reference, 0.0, np.where(np.isnan(found), np.inf, found))
    noise: np.ndarray = np.maximum.accumulate(found.max(axis=0))
    return noise


def checks(dtype: str, difference: Sequence[float], noise: np.ndarray | None, recurrent: bool) -> list[Check]:
    """The limits that apply to ``len(difference)`` updates; a shorter run is held to the limit it falls under.

    Args:
        dtype: ``float64`` or ``float32``.
        difference: Relative difference of the losses at each update.
        noise: Result of ``noise_of``.
        recurrent: Whether the model has recurrent layers.
    """
    made, total, before = [], len(difference), 0
    for steps, limit in LIMITS[dtype]:
        if before >= total:
            break
        n = min(steps, total)
        limit = max(limit, RECURRENT) if recurrent and dtype == "float64" else limit
        own = None if noise is None else float(noise[n - 1])
        # So does a repetition that breaks down.
        settled = own is not None and own < LARGEST_NOISE
        allowed = max(limit, NOISE_FACTOR * own) if own is not None and settled else limit
        past = [i + 1 for i, d in enumerate(difference[:n]) if not d <= allowed]
        made.append(Check(n, limit, float(max(difference[:n])), own, allowed, past[0] if past else None))
        before = steps
    return made


def has_recurrent(graph: Graph) -> bool:
    """Whether a model has layers that go through time step by step."""
    return any(type(node.layer).__module__.rpartition(".")[2] == "recurrent" for node in graph.nodes)
