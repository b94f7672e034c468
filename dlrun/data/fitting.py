"""Statistics of samples, gathered part by part."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


class Fit:
    """What is gathered; NaN is passed over."""

    def add(self, x: np.ndarray) -> None:
        """Count values, float64 (n, C)."""
        raise NotImplementedError


class Moments(Fit):
    """Mean, standard deviation, lowest and highest value per channel; parts are merged (Chan et al. 1979).

    Each is float64 (C,), NaN for a channel without a number.
    """

    def __init__(self) -> None:
        self._count: np.ndarray | float = 0.0
        self._mean: np.ndarray | float = 0.0
        self._spread: np.ndarray | float = 0.0
        self._low: np.ndarray | float = np.inf
        self._high: np.ndarray | float = -np.inf

    def add(self, x: np.ndarray) -> None:
        present = ~np.isnan(x)
        count = present.sum(0)
        shift = np.where(present, x, 0.0)
        mean = shift.sum(0) / np.maximum(count, 1)
        spread = (np.where(present, x - mean, 0.0) ** 2).sum(0)
        total = self._count + count
        apart = mean - self._mean
        share = count / np.maximum(total, 1)
        self._spread = self._spread + spread + apart**2 * self._count * share
        self._mean = self._mean + apart * share
        self._count = total
        self._low = np.minimum(self._low, np.where(present, x, np.inf).min(0, initial=np.inf))
        self._high = np.maximum(self._high, np.where(present, x, -np.inf).max(0, initial=-np.inf))

    @property
    def mean(self) -> np.ndarray:
        """The arithmetic mean."""
        return self._known(self._mean)

    @property
    def std(self) -> np.ndarray:
        """The standard deviation of a population (divided by the count)."""
        return self._known(np.sqrt(self._spread / np.maximum(self._count, 1)))

    @property
    def low(self) -> np.ndarray:
        """The lowest value."""
        return self._known(self._low)

    @property
    def high(self) -> np.ndarray:
        """The highest value."""
        return self._known(self._high)

    def _known(self, values: np.ndarray | float) -> np.ndarray:
        return np.where(np.asarray(self._count) > 0, values, np.nan)


class _Kept(Fit):
    """Keeps all values, as an exact quantile needs them."""

    def __init__(self) -> None:
        self._parts: list[np.ndarray] = []

    def add(self, x: np.ndarray) -> None:
        self._parts.append(x)

    def _columns(self) -> Iterator[np.ndarray]:
        """Each channel's values that are there; of one at a time, so that memory holds few copies."""
        for channel in range(self._parts[0].shape[1]):
            column = np.concatenate([part[:, channel] for part in self._parts])
            yield column[~np.isnan(column)]


class Quantiles(_Kept):
    """Quantiles per channel, between two values by linear interpolation."""

    def quantiles(self, shares: tuple[float, ...]) -> np.ndarray:
        """(len(shares), C), NaN for a channel without a number."""
        found = [np.quantile(c, shares) if c.size else np.full(len(shares), np.nan) for c in self._columns()]
        return np.stack(found, 1)


class Modes(_Kept):
    """The most frequent value per channel."""

    def modes(self) -> np.ndarray:
        """(C,), of several the smallest, NaN for a channel without a number."""
        return np.array([_mode(c) if c.size else np.nan for c in self._columns()])


def _mode(values: np.ndarray) -> float:
    found, counts = np.unique(values, return_counts=True)
    return float(found[counts.argmax()])
