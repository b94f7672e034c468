"""Initializers that do not look at the size of the layer."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt

from dlrun.errors import DlrunError
from dlrun.initializers.base import Fans, Initializer, Shape, initializers


@initializers("zeros")
class Zeros(Initializer):
    """Zeros.

    w = 0, with w every element of the weight.

    Args: none.

    Shapes: any.
    Weights: none.
    Errors: none.
    Differs: nothing.
    Source: none.
    """

    def draw(self, g: np.random.Generator, shape: Shape, fans: Fans) -> np.ndarray:
        return np.zeros(shape)


@initializers("ones")
class Ones(Initializer):
    """Ones.

    w = 1, with w every element of the weight.

    Args: none.

    Shapes: any.
    Weights: none.
    Errors: none.
    Differs: nothing.
    Source: none.
    """

    def draw(self, g: np.random.Generator, shape: Shape, fans: Fans) -> np.ndarray:
        return np.ones(shape)


@initializers("constant")
class Constant(Initializer):
    """The same number everywhere.

    w = c, with w every element of the weight and c the value.

    Args:
        value: c.

    Shapes: any.
    Weights: none.
    Errors: none.
    Differs: nothing.
    Source: none.
    """

    value: float

    def draw(self, g: np.random.Generator, shape: Shape, fans: Fans) -> np.ndarray:
        return np.full(shape, self.value)


@initializers("normal")
class Normal(Initializer):
    """Normal distribution.

    w ~ N(m, s^2), with m the mean and s the standard deviation.

    Args:
        std: s, in the weight's units.
        mean: m.

    Shapes: any.
    Weights: none.
    Errors: none.
    Differs: Keras' default deviation is 0.05, torch's 1.
    Source: none.
    """

    std: Annotated[float, Gt(0)] = 0.02
    mean: float = 0.0

    def draw(self, g: np.random.Generator, shape: Shape, fans: Fans) -> np.ndarray:
        return self.mean + self.std * g.standard_normal(shape)


@initializers("truncated_normal")
class TruncatedNormal(Initializer):
    """Normal distribution cut at a number of standard deviations, not rescaled.

    w ~ N(m, s^2) given |w - m| <= c s, with m the mean, s the standard deviation before the cut and c the cut.

    Args:
        std: s; with c = 2 what remains has the deviation 0.88 s.
        mean: m.
        cut: c, in standard deviations.

    Shapes: any.
    Weights: none.
    Errors: none.
    Differs: torch's trunc_normal_ cuts at the values -2 and 2 whatever s is; for small s that is ``normal``.
    Source: none.
    """

    std: Annotated[float, Gt(0)] = 0.02
    mean: float = 0.0
    cut: Annotated[float, Ge(0.5)] = 2.0

    def draw(self, g: np.random.Generator, shape: Shape, fans: Fans) -> np.ndarray:
        return self.mean + self.std * within(g, shape, self.cut)


@initializers("uniform")
class Uniform(Initializer):
    """Uniform distribution.

    w ~ U(a, b), with a the lower and b the upper limit.

    Args:
        low: a.
        high: b, above a.

    Shapes: any.
    Weights: none.
    Errors: empty-range.
    Differs: torch's default limits are 0 and 1.
    Source: none.
    """

    low: float = -0.05
    high: float = 0.05

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise DlrunError(
                "empty-range", f"`low: {self.low}` must be below `high: {self.high}`.", path=("low",), hint="Swap them."
            )

    def draw(self, g: np.random.Generator, shape: Shape, fans: Fans) -> np.ndarray:
        return g.uniform(self.low, self.high, shape)


@initializers("orthogonal")
class Orthogonal(Initializer):
    """Orthogonal columns or rows.

    W = k Q, with k the gain and Q from the QR decomposition of a normal matrix, signs such that R's diagonal is
    positive; the weight is seen as a matrix (everything but the last axis, last axis).

    Args:
        gain: k.

    Shapes: two axes or more.
    Weights: none.
    Errors: initializer-shape.
    Differs: torch flattens the other way round, to (outputs, everything else).
    Source: Saxe et al. 2013.
    """

    gain: float = 1.0

    def check(self, shape: Shape) -> None:
        require_matrix(self.kind, shape)

    def draw(self, g: np.random.Generator, shape: Shape, fans: Fans) -> np.ndarray:
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(g.standard_normal((max(rows, columns), min(rows, columns))))
        q = q * np.sign(np.diag(r))
        return self.gain * (q if rows >= columns else q.T).reshape(shape)


@initializers("identity")
class Identity(Initializer):
    """What goes in comes out.

    W[i, j] = k if i = j else 0, with k the gain, i the input and j the output; in a convolution at the window's
    middle cell, of two the first, and 0 elsewhere. With `same` padding that cell lies over the output's own place.

    Args:
        gain: k.

    Shapes: two axes or more.
    Weights: none.
    Errors: initializer-shape.
    Differs: Keras' refuses convolutions; torch's dirac_ takes the second of two middle cells.
    Source: none.
    """

    gain: float = 1.0

    def check(self, shape: Shape) -> None:
        require_matrix(self.kind, shape)

    def draw(self, g: np.random.Generator, shape: Shape, fans: Fans) -> np.ndarray:
        w = np.zeros(shape)
        w[tuple((n - 1) // 2 for n in shape[:-2])] = self.gain * np.eye(shape[-2], shape[-1])
        return w


def within(g: np.random.Generator, shape: Shape, cut: float = 2.0) -> np.ndarray:
    """Unit normal resampled until every value is within ``cut`` standard deviations."""
    z = g.standard_normal(shape)
    bad = np.abs(z) > cut
    while bad.any():
        z[bad] = g.standard_normal(int(bad.sum()))
        bad = np.abs(z) > cut
    return z


def require_matrix(kind: str, shape: Shape) -> None:
    """Raise ``initializer-shape`` unless a weight has two axes or more."""
    if len(shape) < 2:
        raise DlrunError(
            "initializer-shape",
            f"`{kind}` needs a weight of two axes or more, this one is {shape}.",
            hint="Use it for kernels; `zeros` or `constant` suit a bias.",
        )
