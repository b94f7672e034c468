"""Random numbers of samples: pure functions of (seed, epoch, sample, name), whoever draws and in whatever order."""

from __future__ import annotations

import numpy as np

from dlrun.randomness import derive

_MASK64 = 0xFFFFFFFFFFFFFFFF
_GOLDEN = 0x9E3779B97F4A7C15
_TRIES = 16
"""Proposals for one gamma number. Each is taken with a probability above 0.95, so that all of them fail for less than
one number in 10^20; that one is the distribution's mode."""


class Draws:
    """What chance says of a batch of samples.

    Args:
        seed: The recipe's.
        epoch: Number of the epoch.
        samples: The samples' numbers in their split, int64 (N,).
        name: Whose draws these are.

    Two samples, epochs or names have independent numbers; the same ones have the same numbers in any batch. Of the
    same name more numbers begin with the fewer ones, whichever distribution they follow.
    """

    def __init__(self, seed: int, epoch: int, samples: np.ndarray, name: str = "") -> None:
        self.seed, self.epoch, self.name = seed, epoch, name
        self.samples = np.asarray(samples, np.uint64)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, rows: slice | np.ndarray) -> Draws:
        """The draws of some samples of the batch."""
        return Draws(self.seed, self.epoch, self.samples[rows], self.name)

    def of(self, name: str) -> Draws:
        """Draws of a part of what draws: its name joins this one's."""
        return Draws(self.seed, self.epoch, self.samples, f"{self.name}/{name}")

    def one(self, index: int) -> Draws:
        """The draws of one sample of the batch."""
        return self[index : index + 1]

    def bits(self, name: str, count: int = 1) -> np.ndarray:
        """Uniform 64-bit words, uint64 (N, count)."""
        key = derive(self.seed, "augment", self.epoch, self.name, name)
        start = _mixed(self.samples + np.uint64(key))  # wraps around, as meant
        steps = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
        words: np.ndarray = _mixed(_mixed(start[:, None] ^ np.uint64(_GOLDEN)) + steps)
        return words

    def uniform(self, name: str, low: float = 0.0, high: float = 1.0, count: int = 1) -> np.ndarray:
        """Uniform numbers in [low, high), float64 (N, count)."""
        unit: np.ndarray = (self.bits(name, count) >> np.uint64(11)) * 2.0**-53
        found: np.ndarray = low + (high - low) * unit
        return found

    def integers(self, name: str, low: int | np.ndarray, high: int | np.ndarray, count: int = 1) -> np.ndarray:
        """Uniform integers in [low, high), int64 (N, count); bounds are one number or one per sample, (N, 1)."""
        span = np.asarray(high) - np.asarray(low)
        found = np.floor(self.uniform(name, count=count) * span).astype(np.int64)
        kept: np.ndarray = np.minimum(found, span - 1) + low  # a product just below `span` may be rounded up to it
        return kept

    def chance(self, name: str, probability: float) -> np.ndarray:
        """True with this probability, bool (N,)."""
        chosen: np.ndarray = self.uniform(name)[:, 0] < probability
        return chosen

    def normal(self, name: str, count: int = 1) -> np.ndarray:
        """Numbers from the unit normal distribution (Box & Muller 1958), float64 (N, count)."""
        half = (count + 1) // 2
        pairs = self.uniform(name, count=2 * half).reshape(len(self), half, 2)
        radius = np.sqrt(-2 * np.log1p(-pairs[..., 0]))
        angle = 2 * np.pi * pairs[..., 1]
        both = np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=-1)
        found: np.ndarray = both.reshape(len(self), 2 * half)[:, :count]
        return found

    def beta(self, name: str, a: float, b: float | None = None) -> np.ndarray:
        """Numbers from the Beta(a, b) distribution, b = a when left out, float64 (N,).

        g / (g + h) with g from Gamma(a) and h from Gamma(b), compared by their logarithms, which small a do not
        make underflow.
        """
        first, second = self._log_gamma(f"{name}/a", a), self._log_gamma(f"{name}/b", a if b is None else b)
        with np.errstate(over="ignore"):
            found: np.ndarray = 1 / (1 + np.exp(second - first))
        return found

    def _log_gamma(self, name: str, shape: float) -> np.ndarray:
        """Logarithms of numbers from Gamma(shape), float64 (N,).

        Marsaglia & Tsang 2000: of a fixed count of proposals, all from this sample's own words, the first that is
        taken; so that a sample's number does not depend on how often another one was refused. A shape below 1 is
        brought above it by their factor U^(1/shape).
        """
        d = shape + (1 if shape < 1 else 0) - 1 / 3
        z = self.normal(f"{name}/z", _TRIES)
        u = 1 - self.uniform(f"{name}/u", count=_TRIES)
        cubed = np.maximum(1 + z / np.sqrt(9 * d), 0) ** 3
        positive = cubed > 0
        v = np.where(positive, cubed, 1.0)
        taken = positive & (np.log(u) < z * z / 2 + d * (1 - v + np.log(v)))
        first = np.take_along_axis(v, taken.argmax(1)[:, None], 1)[:, 0]
        found = np.log(d) + np.log(np.where(taken.any(1), first, 1.0))
        if shape < 1:
            found = found + np.log(1 - self.uniform(f"{name}/small")[:, 0]) / shape
        return np.asarray(found)


def _mixed(words: np.ndarray) -> np.ndarray:
    """The mixer of splitmix64 (Steele et al. 2014), word by word."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    found: np.ndarray = words ^ (words >> np.uint64(31))
    return found
