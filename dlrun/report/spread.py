"""Shapes of distributions in bounded memory, the same whatever the batches were."""

from __future__ import annotations

import itertools
import math

import numpy as np

BINS = 48
POINTS = 4000
_LARGEST, _NARROWEST = 1e300, -1000
"""Of values that are drawn, and the exponent of a bin's width: differences and quotients stay finite."""


class Histogram:
    """Counts in at most ``BINS`` bins [i w, (i + 1) w) whose width w is a power of two, doubled as values spread."""

    def __init__(self) -> None:
        self._power = _NARROWEST
        self._low, self._high, self._size = math.inf, -math.inf, 0.0
        self._at = np.empty(0, np.int64)
        self._counts = np.empty(0, np.int64)

    def add(self, values: np.ndarray) -> None:
        """Count values, float64 (N,); what is infinite, next to it or no number is passed over."""
        values = values[np.abs(values) <= _LARGEST]
        if not values.size:
            return
        self._low, self._high = min(self._low, float(values.min())), max(self._high, float(values.max()))
        self._size = max(abs(self._low), abs(self._high))
        power = self._needed()
        at = np.floor(np.ldexp(values, -power)).astype(np.int64)
        old = self._at >> min(power - self._power, 62)
        self._power = power
        self._at, group = np.unique(np.concatenate([old, at]), return_inverse=True)
        counts = np.concatenate([self._counts, np.ones(len(at), np.int64)])
        merged = np.zeros(len(self._at), np.int64)
        np.add.at(merged, group, counts)
        self._counts = merged

    def _needed(self) -> int:
        """The smallest power of two for all values so far: it can only grow."""
        power = max(math.frexp(self._size)[1] - 40, self._power)
        span = self._high - self._low
        power = max(power, math.frexp(span)[1] - BINS.bit_length() - 1 if span else power)
        while math.floor(math.ldexp(self._high, -power)) - math.floor(math.ldexp(self._low, -power)) >= BINS:
            power += 1
        return power

    def bins(self) -> list[tuple[float, float, int]]:
        """(from, to, count) of each bin, empty ones between others too."""
        if not self._at.size:
            return []
        counts = dict(zip(self._at.tolist(), self._counts.tolist(), strict=True))
        width = self._power
        return [
            (math.ldexp(i, width), math.ldexp(i + 1, width), counts.get(i, 0))
            for i in range(min(counts), max(counts) + 1)
        ]


class Points:
    """At most ``POINTS`` pairs of numbers, evenly spaced among all; ``every`` says how far apart.

    Args:
        series: How many kinds of pairs take turns. No step has a factor in common with it: each kind is kept as often.
    """

    def __init__(self, series: int = 1) -> None:
        self.every = 1
        self._factor = next(i for i in itertools.count(2) if math.gcd(i, series) == 1)
        self._ids = np.empty(0, np.int64)
        self.pairs = np.empty((0, 2))

    def add(self, ids: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
        """Look at more of them, numbered by ``ids``, int64 (N,)."""
        pairs = np.stack([x, y], 1).astype(np.float64)
        self._ids, self.pairs = np.concatenate([self._ids, ids]), np.concatenate([self.pairs, pairs])
        self._keep((np.abs(self.pairs) <= _LARGEST).all(1) & (self._ids % self.every == 0))
        while len(self.pairs) > POINTS:
            self.every *= self._factor
            self._keep(self._ids % self.every == 0)

    def _keep(self, which: np.ndarray) -> None:
        self._ids, self.pairs = self._ids[which], self.pairs[which]
