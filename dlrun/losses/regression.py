"""Losses between numbers."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from annotated_types import Gt

from dlrun.graph.tensor import TensorType
from dlrun.losses.elementwise import Elementwise
from dlrun.losses.loss import Example, losses

_NAN = float("nan")
_TWO = [[0.0, -1.5], [2.0, 3.0], [0.5, -2.25], [1.0, 100.0]]
_GAPS = [[0.0, _NAN], [2.0, 3.0], [_NAN, _NAN], [1.0, -4.0]]
_NOTHING = [[_NAN], [_NAN]]
_ONE = [1.0, -2.0, 0.25]
_MASKS = [[[0.0, 1.0], [2.0, 3.0]], [[-1.0, 0.5], [0.0, 7.0]]]

_EXAMPLES = (
    Example({}, TensorType((2,)), _TWO),
    Example({}, TensorType((1,)), _ONE),
    Example({}, TensorType((2, 2, 1)), _MASKS),
    Example({"ignore_nan": True}, TensorType((2,)), _GAPS),
    Example({"ignore_nan": True}, TensorType((1,)), _NOTHING),
    Example({}, TensorType((2,)), [[1.0, 2.0, 3.0]], raises="output-shape"),
    Example({}, TensorType((2,)), _ONE, raises="output-shape"),
)


@losses("mse")
class MeanSquaredError(Elementwise):
    """Mean squared error.

    L = mean over elements of (x - y)^2, with x the outputs and y the labels.

    Args:
        ignore_nan: Whether labels that are not a number (NaN) are left out of the mean.

    Shapes: outputs (N, *), labels (N, *); or outputs (N, *, 1), labels (N, *) -> scalar.
    Weights: 1 for each element, 0 for an ignored one.
    Errors: output-shape.
    Differs: nothing.
    Source: Gauss 1809.
    """

    known_as = ("l2", "mse_loss", "mean_squared_error")

    examples = _EXAMPLES

    def values(self, x: np.ndarray, y: np.ndarray) -> Any:
        """(x - y)^2."""
        return (x - y) ** 2


@losses("mae")
class MeanAbsoluteError(Elementwise):
    """Mean absolute error.

    L = mean over elements of |x - y|, with x the outputs and y the labels; the gradient at x = y is 0.

    Args:
        ignore_nan: Whether labels that are not a number (NaN) are left out of the mean.

    Shapes: outputs (N, *), labels (N, *); or outputs (N, *, 1), labels (N, *) -> scalar.
    Weights: 1 for each element, 0 for an ignored one.
    Errors: output-shape.
    Differs: nothing.
    Source: Boscovich 1757.
    """

    known_as = ("l1", "l1_loss", "mean_absolute_error")

    examples = _EXAMPLES

    def values(self, x: np.ndarray, y: np.ndarray) -> Any:
        """|x - y|."""
        return np.abs(x - y)


@losses("huber")
class Huber(Elementwise):
    """Squared error near the label, absolute error away from it.

    L = mean over elements of e^2 / 2 where |e| <= d, else d (|e| - d / 2), with e = x - y the error
    of output x for label y, and d the delta.

    Args:
        delta: d, the error from which on the loss grows linearly, with slope d.
        ignore_nan: Whether labels that are not a number (NaN) are left out of the mean.

    Shapes: outputs (N, *), labels (N, *); or outputs (N, *, 1), labels (N, *) -> scalar.
    Weights: 1 for each element, 0 for an ignored one.
    Errors: output-shape.
    Differs: nothing; ``smooth_l1`` is this divided by d.
    Source: Huber 1964.
    """

    examples = (*_EXAMPLES, Example({"delta": 0.5}, TensorType((2,)), _TWO))

    delta: Annotated[float, Gt(0)] = 1.0

    def values(self, x: np.ndarray, y: np.ndarray) -> Any:
        """The two branches meet at |e| = d with one slope."""
        e = np.abs(x - y)
        return np.where(e <= self.delta, e * e / 2, self.delta * (e - self.delta / 2))


@losses("smooth_l1")
class SmoothL1(Elementwise):
    """Absolute error, rounded near the label.

    L = mean over elements of e^2 / (2 b) where |e| < b, else |e| - b / 2, with e = x - y the error of
    output x for label y, and b the beta.

    Args:
        beta: b, the error from which on the loss grows linearly, with slope 1.
        ignore_nan: Whether labels that are not a number (NaN) are left out of the mean.

    Shapes: outputs (N, *), labels (N, *); or outputs (N, *, 1), labels (N, *) -> scalar.
    Weights: 1 for each element, 0 for an ignored one.
    Errors: output-shape.
    Differs: nothing; Keras has ``huber`` only.
    Source: Girshick 2015.
    """

    examples = (*_EXAMPLES, Example({"beta": 0.5}, TensorType((2,)), _TWO))

    beta: Annotated[float, Gt(0)] = 1.0

    def values(self, x: np.ndarray, y: np.ndarray) -> Any:
        """The two branches meet at |e| = b with one slope."""
        e = np.abs(x - y)
        return np.where(e < self.beta, e * e / (2 * self.beta), e - self.beta / 2)


@losses("log_cosh")
class LogCosh(Elementwise):
    """Logarithm of the hyperbolic cosine of the error.

    L = mean over elements of log(cosh(e)), with e = x - y the error of output x for label y: about
    e^2 / 2 near 0 and |e| - log 2 far away.

    Args:
        ignore_nan: Whether labels that are not a number (NaN) are left out of the mean.

    Shapes: outputs (N, *), labels (N, *); or outputs (N, *, 1), labels (N, *) -> scalar.
    Weights: 1 for each element, 0 for an ignored one.
    Errors: output-shape.
    Differs: torch has none.
    Source: Green 1990.
    """

    examples = _EXAMPLES

    def values(self, x: np.ndarray, y: np.ndarray) -> Any:
        """|e| + log((1 + exp(-2 |e|)) / 2), which neither overflows nor leaves a remainder at 0."""
        e = np.abs(x - y)
        return e + np.log1p(np.expm1(-2 * e) / 2)


@losses("poisson")
class Poisson(Elementwise):
    """Negative log-likelihood of counts, from the logarithm of their rate.

    L = mean over elements of exp(x) - y x, with x the outputs (log rates) and y the counts. The term
    log(y!), which no weight changes, is left out.

    Args:
        ignore_nan: Whether labels that are not a number (NaN) are left out of the mean.

    Shapes: outputs (N, *), counts (N, *); or outputs (N, *, 1), counts (N, *) -> scalar.
    Weights: 1 for each element, 0 for an ignored one.
    Errors: output-shape.
    Differs: Keras' reads the rate itself and adds 1e-7 to it.
    Source: Nelder & Wedderburn 1972.
    """

    labels = "counts"
    output_is = "the logarithm of a rate"
    examples = (  # exp(100) is beyond float32
        Example({}, TensorType((2,)), [[0.0, 1.0], [2.0, 3.0], [5.0, 0.0]], largest=20.0),
        Example({}, TensorType((1,)), [0, 3, 1], largest=20.0),
        Example({"ignore_nan": True}, TensorType((2,)), [[0.0, _NAN], [2.0, 3.0]], largest=20.0),
        Example({"ignore_nan": True}, TensorType((1,)), _NOTHING, largest=20.0),
        Example({}, TensorType((3,)), _ONE, raises="output-shape"),
    )

    def values(self, x: np.ndarray, y: np.ndarray) -> Any:
        """exp(x) - y x."""
        return np.exp(x) - y * x
