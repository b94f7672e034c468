"""The confusion matrix, and what every metric over class ids is computed from."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from dlrun.metrics.metric import Accumulator, Metric, metrics


def predicted(output: np.ndarray) -> np.ndarray:
    """The predicted class ids, int64 (N,).

    The largest logit wins, the lowest index on ties. A single logit is that of class 1 against
    class 0 (binary cross entropy) and predicts 1 above 0.

    Shapes: (N, C) logits -> (N,).
    """
    if output.ndim == 1 or output.shape[-1] == 1:
        return (output.reshape(len(output)) > 0).astype(np.int64)
    return np.asarray(output.argmax(-1))


class Confusion(Accumulator):
    """Counts of (label, prediction) pairs in ``matrix``, int64 (C, C); rows are labels."""

    def __init__(self, classes: int) -> None:
        self.matrix = np.zeros((classes, classes), np.int64)

    def add(self, output: np.ndarray, target: np.ndarray) -> None:
        classes = len(self.matrix)
        pairs = target.astype(np.int64).reshape(-1) * classes + predicted(output)
        self.matrix += np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)

    def result(self) -> dict[str, Any]:
        return {"confusion_matrix": self.matrix.tolist()}


class OfConfusion(Metric):
    """A metric without fields that is computed from the confusion matrix."""

    counted: ClassVar[type[Confusion]]

    def start(self, classes: int | None) -> Accumulator:
        assert classes is not None
        return self.counted(classes)


@metrics("confusion_matrix")
class ConfusionMatrix(OfConfusion):
    """How often each class was taken for each other.

    M[a][b] = sum_i [y_i = a][p_i = b], with y the class ids and p the predicted ones (the largest
    logit, the lowest index on ties).

    Args: none.

    Shapes: logits (N, *, C), class ids (N, *) -> C lists of C counts, rows are labels; no scalar.
    Weights: none.
    Errors: metric-needs-classes.
    Differs: nothing.
    Source: none.
    """

    counted = Confusion

    def names(self) -> tuple[str, ...]:
        return ()
