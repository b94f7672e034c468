"""Random numbers as pure functions of (seed, name, step); nothing here has hidden state.

Every draw in a run (initial weights, data order, splits, dropout) is keyed by counters, so a
resumed run draws what the uninterrupted one would have drawn and nothing needs to be saved.
"""

from __future__ import annotations

import hashlib

import numpy as np

_MASK64 = 0xFFFFFFFFFFFFFFFF


def derive(seed: int, *names: str | int) -> int:
    """A 64-bit key from a seed and names (BLAKE2b)."""
    text = "\x1f".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """A numpy generator (Philox) of its own for ``names``: independent of creation order."""
    return np.random.Generator(np.random.Philox(key=[derive(seed, *names), derive(seed, "high", *names)]))


def splitmix64(value: int) -> int:
    """One round of the splitmix64 mixer (Steele et al. 2014), on a Python int."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK64
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK64
    return value ^ (value >> 31)


def step_key(layer_key: int, step: int, micro_batch: int = 0) -> int:
    """The 64-bit key of one layer's draw at one step: ``layer_key = derive(seed, "dropout", name)``."""
    return splitmix64(splitmix64(layer_key ^ splitmix64(step)) ^ micro_batch)


def step_keys(layer_key: int, first_step: int, steps: int) -> np.ndarray:
    """``step_key`` (micro-batch 0) for consecutive steps, as uint64 of shape (steps,)."""
    return np.array([step_key(layer_key, first_step + i) for i in range(steps)], dtype=np.uint64)


def epoch_order(seed: int, epoch: int, samples: int, shuffle: bool = True) -> np.ndarray:
    """The order in which an epoch visits its samples, int64 of shape (samples,)."""
    if not shuffle:
        return np.arange(samples, dtype=np.int64)
    return stream(seed, "order", epoch).permutation(samples).astype(np.int64)


def keep_mask(key: int, shape: tuple[int, ...], rate: float, offset: int = 0) -> np.ndarray:
    """The portable dropout mask: True where an element is kept.

    A 32-bit hash (lowbias32, Wellons 2018) of ``offset + flat index`` and the low 32 bits of
    ``key``, compared with ``floor(rate * 2**32)``. Both backends compute the same bits.

    Shapes: ``shape`` in canonical channels-last order -> bool array of that shape.
    """
    return (_hashed(key, shape, offset) >= np.uint64(int(rate * 2**32))).reshape(shape)


def normal_noise(key: int, shape: tuple[int, ...], offset: int = 0) -> np.ndarray:
    """Portable draws from the unit normal distribution, float64.

    Two hashes as ``keep_mask`` has them, h of the key's low 32 bits and k of its high ones, are made
    normal by Box & Muller 1958: sqrt(-2 log((h + 1/2) / 2**32)) cos(2 pi k / 2**32).

    Shapes: ``shape`` in canonical channels-last order -> array of that shape.
    """
    first, second = (_hashed(k, shape, offset).astype(np.float64) for k in (key, key >> 32))
    z: np.ndarray = np.sqrt(-2 * np.log((first + 0.5) / 2**32)) * np.cos(second * (2 * np.pi / 2**32))
    return z.reshape(shape)


def _hashed(key: int, shape: tuple[int, ...], offset: int) -> np.ndarray:
    mask = np.uint64(0xFFFFFFFF)
    x = np.arange(offset, offset + int(np.prod(shape)), dtype=np.uint64)
    x = (x * np.uint64(0x9E3779B9) + np.uint64(key & 0xFFFFFFFF)) & mask
    for shift, factor in ((16, 0x21F0AAAD), (15, 0x735A2D97)):
        x ^= x >> np.uint64(shift)
        x = (x * np.uint64(factor)) & mask
    return x ^ (x >> np.uint64(15))
