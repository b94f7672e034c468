"""Metrics of numbers."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np

from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType
from dlrun.metrics.metric import Accumulator, Metric, metrics


class NumberMetric(Metric):
    """A metric of data without classes."""

    def check(self, classes: int | None) -> None:
        if classes is not None:
            raise DlrunError(
                "metric-needs-numbers",
                f"`{self.kind}` compares numbers, but the data has {classes} classes.",
                path=("metrics",),
                hint="Use `accuracy`, or data whose labels are numbers.",
            )

    def check_output(self, output: TensorType, target: TensorType, classes: int | None) -> None:
        if output.size != target.size:
            raise self.misfit(f"reads a number for each of the labels' `{target}`", f"`{output}`")


class ErrorMetric(NumberMetric):
    """A metric that is the mean of a power of errors, or its square root."""

    better: ClassVar[Literal["higher", "lower"]] = "lower"
    power: ClassVar[int]
    root: ClassVar[bool] = False

    def start(self, classes: int | None) -> Accumulator:
        return MeanError(self)


class MeanError(Accumulator):
    """The mean over all elements of |x - y|^power, or its root."""

    def __init__(self, metric: ErrorMetric) -> None:
        self.name = metric.kind
        self.power = metric.power
        self.root = metric.root
        self.total = 0.0
        self.elements = 0

    def add(self, output: np.ndarray, target: np.ndarray) -> None:
        error = np.abs(_difference(output, target))
        self.total += float((error**self.power).sum())
        self.elements += error.size

    def result(self) -> dict[str, Any]:
        mean = self.total / self.elements if self.elements else 0.0
        return {self.name: mean**0.5 if self.root else mean}


class Explained(Accumulator):
    """Squared errors and the targets' spread per output; means and spreads are merged (Chan et al. 1979)."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.samples = 0
        self.errors: np.ndarray | float = 0.0
        self.mean: np.ndarray | float = 0.0
        self.low: np.ndarray | float = np.inf
        self.high: np.ndarray | float = -np.inf
        self._spread: np.ndarray | float = 0.0

    def add(self, output: np.ndarray, target: np.ndarray) -> None:
        if not len(target):
            return
        y = np.asarray(target, np.float64).reshape(len(target), -1)
        self.errors = self.errors + (_difference(output, target).reshape(y.shape) ** 2).sum(0)
        mean, total = y.mean(0), self.samples + len(y)
        shift = mean - self.mean
        self._spread = self._spread + ((y - mean) ** 2).sum(0) + shift**2 * (self.samples * len(y) / total)
        self.mean = self.mean + shift * (len(y) / total)
        self.low, self.high = np.minimum(self.low, y.min(0)), np.maximum(self.high, y.max(0))
        self.samples = total

    def shares(self) -> np.ndarray:
        """What is explained of each output, float64 (outputs,)."""
        errors = np.atleast_1d(self.errors)
        # a mean is rounded: of targets that do not vary, sums would leave a spread all the same
        spread = np.where(np.equal(self.low, self.high), 0.0, self._spread)
        values = np.where(errors == 0, 1.0, 0.0)
        np.divide(spread - errors, spread, out=values, where=spread > 0)
        return values

    def result(self) -> dict[str, Any]:
        return {self.name: float(self.shares().mean())}


@metrics("mae")
class MeanAbsoluteError(ErrorMetric):
    """Mean absolute error.

    M = mean over elements of |x - y|, with x the outputs and y the targets.

    Args: none.

    Shapes: outputs (N, *), targets (N, *); or outputs (N, 1), targets (N,) -> scalar.
    Weights: none.
    Errors: metric-needs-numbers.
    Differs: nothing.
    Source: none.
    """

    known_as = ("l1", "mean_absolute_error")

    power = 1


@metrics("mse")
class MeanSquaredError(ErrorMetric):
    """Mean squared error.

    M = mean over elements of (x - y)^2, with x the outputs and y the targets.

    Args: none.

    Shapes: outputs (N, *), targets (N, *); or outputs (N, 1), targets (N,) -> scalar.
    Weights: none.
    Errors: metric-needs-numbers.
    Differs: nothing.
    Source: none.
    """

    known_as = ("l2", "mean_squared_error")

    power = 2


@metrics("rmse")
class RootMeanSquaredError(ErrorMetric):
    """Root of the mean squared error.

    M = sqrt(mean over elements of (x - y)^2), with x the outputs and y the targets.

    Args: none.

    Shapes: outputs (N, *), targets (N, *); or outputs (N, 1), targets (N,) -> scalar.
    Weights: none.
    Errors: metric-needs-numbers.
    Differs: scikit-learn takes the root per output and averages the roots.
    Source: none.
    """

    power = 2
    root = True


@metrics("r2")
class CoefficientOfDetermination(NumberMetric):
    """Share of the targets' variance that is explained, averaged over outputs.

    R = 1 - sum_i (x_i - y_i)^2 / sum_i (y_i - m)^2, with x the outputs, y the targets and m their
    mean. Targets that do not vary give 1 when met exactly, else 0.

    Args: none.

    Shapes: outputs (N, *), targets (N, *); or outputs (N, 1), targets (N,) -> scalar.
    Weights: none.
    Errors: metric-needs-numbers.
    Differs: nothing.
    Source: Wright 1921.
    """

    known_as = ("r2_score",)

    def start(self, classes: int | None) -> Accumulator:
        return Explained(self.kind)


def _difference(output: np.ndarray, target: np.ndarray) -> np.ndarray:
    x = np.asarray(output, np.float64)
    return x - np.asarray(target, np.float64).reshape(x.shape)
