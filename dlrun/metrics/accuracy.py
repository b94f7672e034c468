"""Shares of samples that are classified right."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from annotated_types import Gt

from dlrun.errors import DlrunError
from dlrun.metrics.confusion import predicted
from dlrun.metrics.metric import Accumulator, Metric, metrics


class Share(Accumulator):
    """A count of hits over a count of samples."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.hits = 0
        self.samples = 0

    def hit(self, output: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Which samples count: bool (N,)."""
        return np.asarray(predicted(output) == target)

    def add(self, output: np.ndarray, target: np.ndarray) -> None:
        self.hits += int(np.count_nonzero(self.hit(output, target.reshape(-1))))
        self.samples += len(target)

    def result(self) -> dict[str, Any]:
        return {self.name: self.hits / self.samples if self.samples else 0.0}


class TopShare(Share):
    """Hits are labels among the k largest logits."""

    def __init__(self, name: str, k: int) -> None:
        super().__init__(name)
        self.k = k

    def hit(self, output: np.ndarray, target: np.ndarray) -> np.ndarray:
        if output.ndim == 1 or output.shape[-1] == 1:  # a single logit stands against 0 for class 0
            output = output.reshape(-1, 1)
            output = np.concatenate([np.zeros_like(output), output], axis=1)
        own = np.take_along_axis(output, target[:, None], axis=1)
        earlier = np.arange(output.shape[1]) < target[:, None]
        rank = (~(output <= own)).sum(1) + ((output == own) & earlier).sum(1)  # what is no number beats any label
        return np.asarray(rank < self.k)


@metrics("accuracy")
class Accuracy(Metric):
    """Share of samples whose largest logit is at their label.

    A = (1 / N) sum_i [argmax_c x_i[c] = y_i], with x the logits, y the class ids and N the
    samples; the lowest index wins ties. A single logit predicts class 1 above 0.

    Args: none.

    Shapes: logits (N, *, C), class ids (N, *) -> scalar.
    Weights: none.
    Errors: metric-needs-classes.
    Differs: Keras averages in float32.
    Source: none.
    """

    known_as = ("acc",)

    def start(self, classes: int | None) -> Accumulator:
        return Share(self.kind)


@metrics("top_k")
class TopK(Metric):
    """Share of samples whose label is among the k largest logits; reported as ``top_5`` for k = 5.

    T = (1 / N) sum_i [r_i < k], with the label's rank r_i = #{c: x_i[c] > x_i[y_i]} +
    #{c < y_i: x_i[c] = x_i[y_i]}, x the logits, y the class ids and N the samples.

    Args:
        k: From 1 to the number of classes.

    Shapes: logits (N, *, C), class ids (N, *) -> scalar.
    Weights: none.
    Errors: metric-needs-classes, top-k-too-large.
    Differs: Keras counts every tie as a hit; torch.topk leaves the order of ties open.
    Source: none.
    """

    known_as = ("top5", "top_k_accuracy")

    k: Annotated[int, Gt(0)] = 5

    def names(self) -> tuple[str, ...]:
        return (f"top_{self.k}",)

    def check(self, classes: int | None) -> None:
        super().check(classes)
        assert classes is not None
        if self.k > classes:
            raise DlrunError(
                "top-k-too-large",
                f"`k: {self.k}` is more than the data's {classes} classes.",
                path=("metrics", self.kind, "k"),
                hint=f"Use at most {classes}.",
            )

    def start(self, classes: int | None) -> Accumulator:
        return TopShare(self.names()[0], self.k)
