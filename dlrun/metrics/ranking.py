"""How well the scores of a class put its samples before all others, whatever the threshold."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np

from dlrun.described import described
from dlrun.metrics.metric import Accumulator, Metric, metrics


def log_odds(logits: np.ndarray) -> np.ndarray:
    """Logarithm of p / (1 - p) for each class's probability p, float64.

    It orders samples as p does, and still tells them apart where p is so near to 0 or 1 that it is rounded to it.

    Shapes: (N, C) logits -> (N, C); of two classes the differences of the logits.
    """
    order = np.argsort(logits, axis=1, kind="stable")  # summed in one order, equal logits have equal log-odds
    x = np.take_along_axis(np.asarray(logits, np.float64), order, 1)
    with np.errstate(invalid="ignore"):  # what is no number stays none
        powers = np.exp(x - x[:, -1:])
        others = np.zeros_like(powers)  # sums over all other classes, without a subtraction that would cancel
        others[:, 1:] += np.cumsum(powers[:, :-1], 1)
        others[:, :-1] += np.cumsum(powers[:, :0:-1], 1)[:, ::-1]
        others[:, -1] = np.exp(x[:, :-1] - x[:, -2:-1]).sum(1)  # against the largest: scaled by the next one
        odds = x - x[:, -1:] - np.log(others)
        odds[:, -1] = x[:, -1] - x[:, -2] - np.log(others[:, -1])
    new = np.ones(x.shape, bool)
    new[:, 1:] = x[:, 1:] != x[:, :-1]
    first = np.maximum.accumulate(np.where(new, np.arange(x.shape[1]), 0), axis=1)
    found = np.empty_like(odds)
    np.put_along_axis(found, order, np.take_along_axis(odds, first, 1), 1)
    return found


class Ranks(Accumulator):
    """Keeps logits and class ids, since an exact ranking needs all of them at the end.

    Args:
        metric: Its description.
    """

    def __init__(self, metric: Ranking) -> None:
        self.metric = metric
        self.outputs: list[np.ndarray] = []
        self.targets: list[np.ndarray] = []

    def add(self, output: np.ndarray, target: np.ndarray) -> None:
        self.outputs.append(np.array(output) if output.ndim == 2 else np.array(output)[:, None])
        self.targets.append(np.array(target).reshape(-1))

    def result(self) -> dict[str, Any]:
        return {self.metric.names()[0]: self._value()}

    def _value(self) -> float | None:
        """The average over classes, or None where no class has a value."""
        if not self.outputs:
            return None
        output, ids = np.concatenate(self.outputs), np.concatenate(self.targets)
        if output.shape[1] == 1:  # a single logit is that of class 1 against class 0
            return self._of_class(output[:, 0].astype(np.float64), ids == 1)
        scores = log_odds(output)
        if output.shape[1] == 2:
            return self._of_class(scores[:, 1], ids == 1)
        found = [(self._of_class(scores[:, c], ids == c), np.count_nonzero(ids == c)) for c in range(output.shape[1])]
        values = [(value, labels) for value, labels in found if value is not None]
        if not values:
            return None
        weights = [labels for _, labels in values] if self.metric.average == "weighted" else None
        return float(np.average([value for value, _ in values], weights=weights))

    def _of_class(self, scores: np.ndarray, positive: np.ndarray) -> float | None:
        """The value of one class against all others."""
        if np.isnan(scores).any() or positive.all() or not positive.any():
            return None
        distinct, group = np.unique(scores, return_inverse=True)
        positives = np.bincount(group, positive, len(distinct)).astype(np.int64)
        counts = np.bincount(group, minlength=len(distinct))
        return self.metric.rank(positives, counts - positives)


@described
class Ranking(Metric):
    """What metrics of a ranking share; a registered subclass says what is computed of one class."""

    undefined: ClassVar[str] = "no class has both samples that belong to it and others, or a logit is not a number"
    average: Literal["macro", "weighted"] = "macro"

    def rank(self, positives: np.ndarray, negatives: np.ndarray) -> float:
        """The value of one class from its counts at each distinct score, lowest score first, int64 (G,)."""
        raise NotImplementedError

    def names(self) -> tuple[str, ...]:
        return (self.kind if self.average == "macro" else f"{self.kind}_{self.average}",)

    def start(self, classes: int | None) -> Accumulator:
        return Ranks(self)


@metrics("roc_auc")
class ROCAUC(Ranking):
    """Area under the receiver operating characteristic curve; of more than two classes each against the rest.

    A_c = (1 / (P_c N_c)) sum_i sum_j ([s_i > s_j] + [s_i = s_j] / 2), with i the P_c samples of class c,
    j the N_c others and s their log-odds log(p_c / (1 - p_c)) by the softmax p of the logits. Of two classes
    the value is A_1; of more the mean of A_c, ``weighted`` by P_c.

    A class without samples, or with all of them, is left out of the mean; the value is null where no
    class is left or where a logit is not a number. Logits are kept until the end of an evaluation.

    Args:
        average: ``macro`` or ``weighted``; the latter adds its name to the key. Without effect on two classes.

    Shapes: logits (N, *, C) or (N, *, 1), class ids (N, *) -> scalar or null.
    Weights: none.
    Errors: metric-needs-classes.
    Differs: Keras sums 200 thresholds; scikit-learn compares probabilities, whose ties come from rounding
        too, and refuses absent classes.
    Source: Hanley & McNeil 1982.
    """

    known_as = ("auc", "auroc")

    def rank(self, positives: np.ndarray, negatives: np.ndarray) -> float:
        below = np.cumsum(negatives) - negatives
        twice = int((positives * (2 * below + negatives)).sum())
        return twice / (2 * int(positives.sum()) * int(negatives.sum()))


@metrics("average_precision")
class AveragePrecision(Ranking):
    """Precision averaged over recall; of more than two classes each against the rest.

    A_c = sum_k (R_k - R_(k-1)) P_k, with k the distinct scores from the highest down, P_k and R_k precision
    and recall of class c when all samples that score at least as high are given to it, and R_0 = 0; scores are
    log-odds log(p_c / (1 - p_c)) by the softmax p of the logits. Of two classes the value is A_1; of more
    the mean of A_c, ``weighted`` by the number of labels.

    A class without samples, or with all of them, is left out of the mean; the value is null where no
    class is left or where a logit is not a number. Logits are kept until the end of an evaluation.

    Args:
        average: ``macro`` or ``weighted``; the latter adds its name to the key. Without effect on two classes.

    Shapes: logits (N, *, C) or (N, *, 1), class ids (N, *) -> scalar or null.
    Weights: none.
    Errors: metric-needs-classes.
    Differs: Keras interpolates between 200 thresholds; scikit-learn gives an absent class 0.
    Source: Zhu 2004.
    """

    known_as = ("ap", "pr_auc")

    def rank(self, positives: np.ndarray, negatives: np.ndarray) -> float:
        hits, alarms = np.cumsum(positives[::-1]), np.cumsum(negatives[::-1])
        precision = hits / (hits + alarms)
        return float((positives[::-1] * precision).sum() / hits[-1])
