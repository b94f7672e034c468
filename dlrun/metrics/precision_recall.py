"""Precision, recall and F1, averaged over classes; all read one confusion matrix."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Le

from dlrun.described import described
from dlrun.metrics.confusion import Confusion
from dlrun.metrics.metric import Accumulator, Metric, metrics

Average = Literal["macro", "micro", "weighted"]


class Ratio(Confusion):
    """``numerator / denominator`` per class, averaged.

    Args:
        metric: Its description.
        classes: Number of classes.
    """

    def __init__(self, metric: ClassAverage, classes: int) -> None:
        super().__init__(classes)
        self.metric = metric

    def result(self) -> dict[str, Any]:
        labels, predictions = self.matrix.sum(1), self.matrix.sum(0)
        numerator, denominator = self.metric.counts(np.diagonal(self.matrix), labels, predictions)
        average = self.metric.average
        if average == "micro":
            numerator, denominator = numerator.sum(keepdims=True), denominator.sum(keepdims=True)
        values = np.full(len(numerator), float(self.metric.zero_division))
        np.divide(numerator, denominator, out=values, where=denominator > 0)
        if average == "macro":
            seen = labels + predictions > 0
            value = values[seen].mean() if seen.any() else 0.0
        elif average == "weighted":
            value = (values * labels).sum() / labels.sum() if labels.any() else 0.0
        else:
            value = values[0]
        return {self.metric.names()[0]: float(value)}


@described
class ClassAverage(Metric):
    """What precision, recall and F1 share; a registered subclass says which counts are divided."""

    average: Average = "macro"
    zero_division: Annotated[float, Ge(0), Le(1)] = 0.0

    def counts(self, hits: np.ndarray, labels: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(numerator, denominator) per class from counts per class, int64 (C,)."""
        raise NotImplementedError

    def names(self) -> tuple[str, ...]:
        return (self.kind if self.average == "macro" else f"{self.kind}_{self.average}",)

    def start(self, classes: int | None) -> Accumulator:
        assert classes is not None
        return Ratio(self, classes)


@metrics("precision")
class Precision(ClassAverage):
    """Of the samples given a class, the share that belongs to it.

    P_c = tp_c / (tp_c + fp_c), with tp_c the samples of class c that were predicted as c and fp_c
    the others that were. ``macro`` is the mean over the classes seen among labels or predictions,
    ``weighted`` the mean weighted by the number of labels, ``micro`` divides the sums over classes.

    Args:
        average: ``macro``, ``micro`` or ``weighted``; the last two add their name to the key.
        zero_division: Value of a class whose denominator is 0, from 0 to 1.

    Shapes: logits (N, *, C), class ids (N, *) -> scalar.
    Weights: none.
    Errors: metric-needs-classes.
    Differs: Keras averages over absent classes too; scikit-learn is the same.
    Source: van Rijsbergen 1979.
    """

    def counts(self, hits: np.ndarray, labels: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return hits, predictions


@metrics("recall")
class Recall(ClassAverage):
    """Of the samples of a class, the share that was found.

    R_c = tp_c / (tp_c + fn_c), with tp_c the samples of class c that were predicted as c and fn_c
    those that were not. ``macro`` is the mean over the classes seen among labels or predictions,
    ``weighted`` the mean weighted by the number of labels, ``micro`` divides the sums over classes.

    Args:
        average: ``macro``, ``micro`` or ``weighted``; the last two add their name to the key.
        zero_division: Value of a class whose denominator is 0, from 0 to 1.

    Shapes: logits (N, *, C), class ids (N, *) -> scalar.
    Weights: none.
    Errors: metric-needs-classes.
    Differs: Keras averages over absent classes too; scikit-learn is the same.
    Source: van Rijsbergen 1979.
    """

    def counts(self, hits: np.ndarray, labels: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return hits, labels


@metrics("f1")
class F1(ClassAverage):
    """Harmonic mean of precision and recall, per class, then averaged.

    F_c = 2 tp_c / (2 tp_c + fp_c + fn_c), with tp, fp and fn the true positives, false positives
    and false negatives of class c. ``macro`` is the mean over the classes seen among labels or
    predictions, ``weighted`` the mean weighted by the number of labels, ``micro`` divides the sums.

    Args:
        average: ``macro``, ``micro`` or ``weighted``; the last two add their name to the key.
        zero_division: Value of a class whose denominator is 0, from 0 to 1.

    Shapes: logits (N, *, C), class ids (N, *) -> scalar.
    Weights: none.
    Errors: metric-needs-classes.
    Differs: Keras averages over absent classes too; scikit-learn is the same.
    Source: van Rijsbergen 1979.
    """

    known_as = ("f1_score",)

    def counts(self, hits: np.ndarray, labels: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return 2 * hits, labels + predictions
