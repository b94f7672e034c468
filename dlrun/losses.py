"""What each loss means, with its numpy reference. Every loss reads logits, never probabilities.

A loss is a weighted mean: ``sum(weight * value) / sum(weight)``. Backends compute the two sums,
so that a batch split into micro-batches has the same loss and gradient as the whole.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Lt

from dlrun.described import described
from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType
from dlrun.registry import Registry


@described
class Loss:
    """A loss's description; registered with ``@losses("name")``."""

    kind: ClassVar[str] = ""

    def check(self, output: TensorType, target: TensorType, classes: int | None) -> None:
        """Raise DlrunError unless the model's output fits the labels."""
        raise NotImplementedError

    def sums(self, output: np.ndarray, target: np.ndarray) -> tuple[float, float]:
        """(weighted sum of values, sum of weights) in float64: the reference."""
        raise NotImplementedError

    def reference(self, output: np.ndarray, target: np.ndarray) -> float:
        """The loss of a batch; 0 when no weight is left."""
        total, weight = self.sums(output, target)
        return total / weight if weight else 0.0


losses: Registry[Loss] = Registry("loss")


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities over the last axis, float64."""
    z = np.asarray(logits, np.float64)
    z = z - z.max(axis=-1, keepdims=True)
    result: np.ndarray = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))
    return result


@losses("softmax_cross_entropy")
class SoftmaxCrossEntropy(Loss):
    """Cross entropy between class ids and the softmax of logits.

    L = sum_i (w[y_i] (1 - s) n_i[y_i] + (s / C) sum_c w[c] n_i[c]) / sum_i w[y_i], with
    n_i = -log_softmax(x_i), y the class ids, w the class weights (1 when left out), s the label
    smoothing and C the number of classes.

    Args:
        label_smoothing: s, in [0, 1).
        class_weights: w, one per class.

    Shapes: logits (N, C), class ids (N,) -> scalar.
    Weights: none.
    Errors: output-classes, class-weights-length, wrong-target.
    Differs: Keras divides by the batch size instead of the sum of weights.
    Source: Szegedy et al. 2016 (smoothing).
    """

    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0
    class_weights: tuple[Annotated[float, Ge(0)], ...] | None = None

    def check(self, output: TensorType, target: TensorType, classes: int | None) -> None:
        if target.dtype != "int" or target.rank != 0:
            raise DlrunError(
                "wrong-target",
                f"`{self.kind}` needs one class id per sample, but the labels are {target.dtype} {target}.",
                path=("loss",),
                hint="Use `binary_cross_entropy` for 0/1 vectors or `mse` for numbers.",
            )
        if output.rank != 1 or (classes is not None and output.shape[0] != classes):
            raise DlrunError(
                "output-classes",
                f"the model's output is {output} but the data has {classes} classes, so it must be (N, {classes}).",
                path=("model",),
                hint='End with `dense: {units: "${data.classes}"}`, or leave `units` out of the last dense layer.',
            )
        if self.class_weights is not None and len(self.class_weights) != output.shape[0]:
            raise DlrunError(
                "class-weights-length",
                f"`class_weights` has {len(self.class_weights)} entries for {output.shape[0]} classes.",
                path=("loss", "class_weights"),
            )

    def sums(self, output: np.ndarray, target: np.ndarray) -> tuple[float, float]:
        nll = -log_softmax(output)
        w = np.ones(nll.shape[-1]) if self.class_weights is None else np.asarray(self.class_weights, np.float64)
        own = w[target] * nll[np.arange(len(target)), target]
        smooth = (nll * w).sum(-1) / nll.shape[-1]
        s = self.label_smoothing
        return float(((1 - s) * own + s * smooth).sum()), float(w[target].sum())


@losses("binary_cross_entropy")
class BinaryCrossEntropy(Loss):
    """Cross entropy between 0/1 labels and the sigmoid of logits.

    L = mean over elements of p y softplus(-x) + (1 - y) softplus(x), with x the logits, y the
    labels and p the weight of the positive label.

    Args:
        pos_weight: p, above 0.

    Shapes: logits (N, K), labels (N, K) of 0 and 1; or logits (N, 1), class ids (N,) -> scalar.
    Weights: none.
    Errors: output-shape.
    Differs: Keras clips probabilities at 1e-7, torch's probability form at log -100; logits need neither.
    Source: Good 1952.
    """

    pos_weight: Annotated[float, Ge(0)] = 1.0

    def check(self, output: TensorType, target: TensorType, classes: int | None) -> None:
        wanted = (1,) if target.rank == 0 else target.shape
        if output.shape != wanted or (target.rank == 0 and classes not in (None, 2)):
            detail = f"the data has {classes} classes" if target.rank == 0 else f"the labels are {target}"
            raise DlrunError(
                "output-shape",
                f"`{self.kind}` needs an output of shape {TensorType(wanted)} and 0/1 labels; "
                f"the model's output is {output} and {detail}.",
                path=("loss",),
            )

    def sums(self, output: np.ndarray, target: np.ndarray) -> tuple[float, float]:
        x = np.asarray(output, np.float64)
        y = np.asarray(target, np.float64).reshape(x.shape)
        softplus = np.logaddexp(0.0, x)
        values = self.pos_weight * y * (softplus - x) + (1 - y) * softplus
        return float(values.sum()), float(values.size)


@losses("mse")
class MeanSquaredError(Loss):
    """Mean squared error.

    L = mean over elements of (x - y)^2, with x the outputs and y the targets.

    Args: none.

    Shapes: outputs (N, *), targets (N, *); or outputs (N, 1), targets (N,) -> scalar.
    Weights: none.
    Errors: output-shape.
    Differs: nothing.
    Source: Gauss 1809.
    """

    def check(self, output: TensorType, target: TensorType, classes: int | None) -> None:
        wanted = (1,) if target.rank == 0 else target.shape
        if output.shape != wanted:
            raise DlrunError(
                "output-shape",
                f"`{self.kind}` needs an output of shape {TensorType(wanted)} like the targets; "
                f"the model's is {output}.",
                path=("loss",),
            )

    def sums(self, output: np.ndarray, target: np.ndarray) -> tuple[float, float]:
        x = np.asarray(output, np.float64)
        values = (x - np.asarray(target, np.float64).reshape(x.shape)) ** 2
        return float(values.sum()), float(values.size)
