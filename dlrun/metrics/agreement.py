"""Agreement of labels and predictions where classes are of unequal size; all read one confusion matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlrun.metrics.confusion import Confusion, OfConfusion
from dlrun.metrics.metric import metrics
from dlrun.metrics.precision_recall import ClassAverage


class Matthews(Confusion):
    """The correlation of labels and predictions."""

    def result(self) -> dict[str, Any]:
        matrix = self.matrix.astype(object)  # integers of any size: products of counts overflow 64 bits
        labels, predictions, total = matrix.sum(1), matrix.sum(0), matrix.sum()
        covariance = np.trace(matrix) * total - (labels * predictions).sum()
        spread = (total**2 - (labels**2).sum()) * (total**2 - (predictions**2).sum())
        return {"matthews": float(covariance / float(spread) ** 0.5) if spread else 0.0}


class MeanRecall(Confusion):
    """The mean recall of the classes that have labels."""

    def result(self) -> dict[str, Any]:
        labels = self.matrix.sum(1)
        found = np.diagonal(self.matrix)[labels > 0] / labels[labels > 0]
        return {"balanced_accuracy": float(found.mean()) if found.size else 0.0}


@metrics("matthews")
class MatthewsCorrelation(OfConfusion):
    """Matthews correlation coefficient: 1 for perfect predictions, 0 for those that know nothing of the labels.

    M = (N t - sum_c l_c p_c) / sqrt((N^2 - sum_c l_c^2) (N^2 - sum_c p_c^2)), with N the samples, t those
    predicted right, l_c the labels and p_c the predictions of class c; 0 where the divisor is 0.

    Args: none.

    Shapes: logits (N, *, C), class ids (N, *) -> scalar.
    Weights: none.
    Errors: metric-needs-classes.
    Differs: nothing.
    Source: Matthews 1975; Gorodkin 2004 (more than two classes).
    """

    known_as = ("mcc",)

    counted = Matthews


@metrics("balanced_accuracy")
class BalancedAccuracy(OfConfusion):
    """Mean recall over the classes that have labels: accuracy as if all classes were of one size.

    B = (1 / K) sum_c tp_c / l_c, with tp_c the samples of class c that were predicted as c, l_c the labels
    of class c, and K the number of classes with l_c > 0.

    Args: none.

    Shapes: logits (N, *, C), class ids (N, *) -> scalar.
    Weights: none.
    Errors: metric-needs-classes.
    Differs: ``recall`` counts classes that were predicted but have no labels too.
    Source: Brodersen et al. 2010.
    """

    counted = MeanRecall


@metrics("iou")
class IntersectionOverUnion(ClassAverage):
    """Intersection over union (Jaccard index) of labels and predictions, per class, then averaged.

    J_c = tp_c / (tp_c + fp_c + fn_c), with tp, fp and fn the true positives, false positives and false
    negatives of class c. ``macro`` is the mean over the classes seen among labels or predictions, ``weighted`` the
    mean weighted by the number of labels, ``micro`` divides the sums.

    Args:
        average: ``macro``, ``micro`` or ``weighted``; the last two add their name to the key.
        zero_division: Value of a class whose denominator is 0, from 0 to 1.

    Shapes: logits (N, *, C), class ids (N, *) -> scalar.
    Weights: none.
    Errors: metric-needs-classes.
    Differs: nothing; Keras and scikit-learn are the same.
    Source: Jaccard 1901.
    """

    known_as = ("jaccard", "mean_iou")

    def counts(self, hits: np.ndarray, labels: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return hits, labels + predictions - hits
