"""Initial weights, drawn in numpy so that both frameworks start from the same numbers.

Each weight has a random stream of its own, keyed by the seed and the weight's canonical name, is
drawn in float64 in canonical layout and cast once; the order of creation does not matter.
Fans follow the canonical kernel ``(k..., in, out)``: ``fan_in = in * prod(k)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from dlrun.errors import DlrunError, did_you_mean
from dlrun.randomness import stream

_TRUNCATED_STD = 0.87962566103423978
"""Standard deviation of a unit normal cut at two standard deviations."""

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """(fan_in, fan_out) of a canonical weight shape."""
    if len(shape) < 2:
        size = shape[0] if shape else 1
        return size, size
    receptive = math.prod(shape[:-2])
    return shape[-2] * receptive, shape[-1] * receptive


def truncated_normal(g: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Unit normal resampled until every value is within two standard deviations."""
    z = g.standard_normal(shape)
    bad = np.abs(z) > 2
    while bad.any():
        z[bad] = g.standard_normal(int(bad.sum()))
        bad = np.abs(z) > 2
    return z


def _uniform(limit: Callable[[int, int], float]) -> Draw:
    def draw(g: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        bound = limit(*fans(shape))
        return g.uniform(-bound, bound, shape)

    return draw


def _normal(std: Callable[[int, int], float]) -> Draw:
    def draw(g: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return truncated_normal(g, shape) * (std(*fans(shape)) / _TRUNCATED_STD)

    return draw


def _orthogonal(g: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    rows, columns = math.prod(shape[:-1]), shape[-1]
    q, r = np.linalg.qr(g.standard_normal((max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))
    return (q if rows >= columns else q.T).reshape(shape)


INITIALIZERS: dict[str, Draw] = {
    "zeros": lambda g, shape: np.zeros(shape),
    "ones": lambda g, shape: np.ones(shape),
    "glorot_uniform": _uniform(lambda i, o: math.sqrt(6 / (i + o))),
    "glorot_normal": _normal(lambda i, o: math.sqrt(2 / (i + o))),
    "he_uniform": _uniform(lambda i, o: math.sqrt(6 / i)),
    "he_normal": _normal(lambda i, o: math.sqrt(2 / i)),
    "lecun_uniform": _uniform(lambda i, o: math.sqrt(3 / i)),
    "lecun_normal": _normal(lambda i, o: math.sqrt(1 / i)),
    "orthogonal": _orthogonal,
}


def check_initializer(name: str, field: str) -> None:
    """Raise ``unknown-initializer`` unless ``name`` is one."""
    if name not in INITIALIZERS:
        raise DlrunError(
            "unknown-initializer",
            f"`{name}` is not an initializer.",
            path=(field,),
            hint=did_you_mean(name, INITIALIZERS),
        )


def initialize(name: str, shape: tuple[int, ...], seed: int, weight: str) -> np.ndarray:
    """The initial value of the weight with canonical name ``weight``: float64, canonical layout."""
    return np.ascontiguousarray(INITIALIZERS[name](stream(seed, "weight", weight), shape), dtype=np.float64)
