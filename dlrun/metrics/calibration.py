"""Whether a model's probabilities are to be believed."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Gt

from dlrun.losses import log_softmax
from dlrun.metrics.confusion import predicted
from dlrun.metrics.metric import Accumulator, Metric, metrics


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    """Logarithms of each class's probability, float64: the log-softmax, or of a single logit the log-sigmoid.

    Shapes: (N, C) logits -> (N, C); (N,) or (N, 1) logits of class 1 against class 0 -> (N, 2).
    """
    x = np.asarray(logits, np.float64)
    if x.ndim == 1 or x.shape[-1] == 1:
        x = x.reshape(-1)
        return np.stack([-np.logaddexp(0.0, x), -np.logaddexp(0.0, -x)], 1)
    return log_softmax(x)


def confidences(logits: np.ndarray) -> np.ndarray:
    """Probability of the predicted class, float64: (N, C), (N, 1) or (N,) logits -> (N,)."""
    found: np.ndarray = np.exp(log_probabilities(logits).max(1))
    return found


class Reliability(Accumulator):
    """Samples, hits and summed confidence in bins of confidence, each (bins,).

    Args:
        bins: How many of equal width between 0 and 1. Each holds its upper edge, the lowest one 0 too.
    """

    def __init__(self, bins: int) -> None:
        self.edges = np.linspace(0, 1, bins + 1)
        self.samples = np.zeros(bins, np.int64)
        self.hits = np.zeros(bins, np.int64)
        self.confidence = np.zeros(bins)

    def add(self, output: np.ndarray, target: np.ndarray) -> None:
        self.count(confidences(output), predicted(output) == target.reshape(-1))

    def count(self, confidence: np.ndarray, hit: np.ndarray) -> None:
        """Count samples by their confidence, float64 (N,), and whether they are predicted right, bool (N,)."""
        kept = ~np.isnan(confidence)
        confidence, hit, bins = confidence[kept], hit[kept], len(self.samples)
        at = np.searchsorted(self.edges[1:-1], confidence)
        self.samples += np.bincount(at, minlength=bins)
        self.hits += np.bincount(at[hit], minlength=bins)
        self.confidence += np.bincount(at, confidence, bins)

    def error(self) -> float:
        """The expected calibration error."""
        total = int(self.samples.sum())
        return float(np.abs(self.hits - self.confidence).sum() / total) if total else 0.0

    def result(self) -> dict[str, Any]:
        return {"calibration_error": self.error()}


@metrics("calibration_error")
class CalibrationError(Metric):
    """Expected calibration error: how far confidence is from accuracy.

    E = sum_b (n_b / N) |a_b - c_b|, with b the bins of equal width that the confidence of the N samples (the
    probability of the predicted class) falls into, n_b the samples of a bin, a_b the share of them that
    is predicted right and c_b their mean confidence. A bin holds its upper edge. What is not a number is left out.

    Args:
        bins: Number of bins.

    Shapes: logits (N, *, C) or (N, *, 1), class ids (N, *) -> scalar.
    Weights: none.
    Errors: metric-needs-classes.
    Differs: nothing; neither Keras nor scikit-learn has it.
    Source: Naeini, Cooper & Hauskrecht 2015; Guo et al. 2017.
    """

    known_as = ("ece",)

    better: ClassVar[Literal["higher", "lower"]] = "lower"
    bins: Annotated[int, Gt(0)] = 15

    def start(self, classes: int | None) -> Accumulator:
        return Reliability(self.bins)


class LogLikelihood(Accumulator):
    """The sum of the negative logarithms of the labels' probabilities."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.total = 0.0
        self.samples = 0

    def add(self, output: np.ndarray, target: np.ndarray) -> None:
        found = log_probabilities(output)[np.arange(len(target)), target.reshape(-1)]
        self.total -= float(found.sum())
        self.samples += len(target)

    def result(self) -> dict[str, Any]:
        return {self.name: self.total / self.samples if self.samples else 0.0}


@metrics("log_loss")
class LogLoss(Metric):
    """Mean negative log-likelihood of the labels: cross entropy without weights or smoothing.

    L = -(1 / N) sum_i log p_i[y_i], with p the softmax of the logits (of a single logit the sigmoid, for class 1),
    y the class ids and N the samples.

    Args: none.

    Shapes: logits (N, *, C) or (N, *, 1), class ids (N, *) -> scalar.
    Weights: none.
    Errors: metric-needs-classes.
    Differs: Keras and scikit-learn clip probabilities; logits need no clipping.
    Source: Good 1952.
    """

    known_as = ("nll", "cross_entropy")

    better: ClassVar[Literal["higher", "lower"]] = "lower"

    def start(self, classes: int | None) -> Accumulator:
        return LogLikelihood(self.kind)
