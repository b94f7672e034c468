"""Losses for yes-or-no labels, from logits."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Gt, Le, Lt

from dlrun.described import described
from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType
from dlrun.losses.elementwise import Elementwise, objects
from dlrun.losses.loss import Example, losses, softplus

_NAN = float("nan")
_BITS = [[0.0, 1.0, 1.0], [1.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
_GAPS = [[0.0, _NAN, 1.0], [_NAN, _NAN, _NAN], [1.0, 1.0, _NAN], [0.0, 0.0, 0.0]]
_IDS = [0, 1, 1]
_MASKS = [[[0, 1], [1, 1]], [[0, 0], [0, 1]]]
_MISTAKES = (
    Example({}, TensorType((2,)), _IDS, classes=2, raises="output-shape"),
    Example({}, TensorType((1,)), _IDS, classes=3, raises="output-shape"),
    Example({}, TensorType((2,)), _BITS, raises="output-shape"),
)


@described
class _Binary(Elementwise):
    labels = "0/1 labels"

    def check(self, output: TensorType, target: TensorType, classes: int | None) -> None:
        """Class ids must be of two classes."""
        if target.rank == 0 and classes not in (None, 2):
            raise DlrunError(
                "output-shape",
                f"`{self.kind}` needs an output of shape `(N, 1)` and two classes; the model's output is "
                f"`{output}` and the data has {classes} classes.",
                path=("loss",),
                hint="Use `softmax_cross_entropy` for one of several classes.",
            )
        Elementwise.check(self, output, target, classes)


@losses("binary_cross_entropy")
class BinaryCrossEntropy(_Binary):
    """Cross entropy between 0/1 labels and the sigmoid of logits.

    L = mean over elements of p z softplus(-x) + (1 - z) softplus(x), with x the logits, p the weight
    of the positive label, z = y (1 - s) + s / 2 the labels y smoothed by s.

    Args:
        pos_weight: p, at least 0.
        label_smoothing: s, in [0, 1).
        ignore_nan: Whether labels that are not a number (NaN) are left out of the mean.

    Shapes: logits (N, *), labels (N, *) in [0, 1]; or logits (N, *, 1), labels or class ids (N, *) -> scalar.
    Weights: 1 for each element, 0 for an ignored one.
    Errors: output-shape.
    Differs: Keras clips probabilities at 1e-7, torch's probability form at log -100; logits need neither.
    Source: Good 1952.
    """

    known_as = ("bce", "bce_loss", "bce_with_logits", "bce_with_logits_loss", "sigmoid_cross_entropy")

    examples = (
        Example({}, TensorType((3,)), _BITS),
        Example({}, TensorType((1,)), _IDS, classes=2),
        Example({}, TensorType((2, 2, 1)), _MASKS),
        Example({}, TensorType((3,)), [[0.25, 0.5, 1.0], [0.0, 0.125, 0.75]]),
        Example({"pos_weight": 2.5}, TensorType((3,)), _BITS),
        Example({"pos_weight": 2.5, "label_smoothing": 0.2}, TensorType((3,)), _BITS),
        Example({"ignore_nan": True, "pos_weight": 0.0, "label_smoothing": 0.1}, TensorType((3,)), _GAPS),
        Example({"ignore_nan": True}, TensorType((1,)), [[_NAN], [_NAN]]),
        *_MISTAKES,
    )

    pos_weight: Annotated[float, Ge(0)] = 1.0
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0

    def values(self, x: np.ndarray, y: np.ndarray) -> Any:
        """Each term as a softplus, which neither overflows nor loses digits."""
        z = y * (1 - self.label_smoothing) + self.label_smoothing / 2
        return self.pos_weight * z * softplus(-x) + (1 - z) * softplus(x)


@losses("focal")
class Focal(_Binary):
    """Binary cross entropy that turns to what is still wrong.

    L = sum over elements of a_y (1 - q)^g (-log q) / W, with q the probability of the label (the
    sigmoid of logit x for y = 1, of -x for y = 0), g the gamma, a_1 = a and a_0 = 1 - a for the alpha a
    (both 1 without it), and W the number of elements or of positive labels.

    Args:
        alpha: a, the weight of positive labels, or none.
        gamma: g, how strongly the loss of what is right already is reduced; 0 is cross entropy.
        divide_by: ``elements``, or ``positives`` for the number of positive labels, a sample without
            any counted as one.
        ignore_nan: Whether labels that are not a number (NaN) are left out.

    Shapes: logits (N, *), labels (N, *) of 0 and 1; or logits (N, *, 1), labels or class ids (N, *) -> scalar.
    Weights: 1 for each element (or positive label), 0 for an ignored one.
    Errors: output-shape.
    Differs: Keras leaves alpha out unless asked; detectors count positives over the batch instead of
        at least one a sample.
    Source: Lin et al. 2017.
    """

    examples = (
        Example({}, TensorType((3,)), _BITS),
        Example({}, TensorType((1,)), _IDS, classes=2),
        Example({"alpha": None, "gamma": 0.0}, TensorType((2, 2, 1)), _MASKS),
        Example({"gamma": 0.5}, TensorType((3,)), _BITS),
        Example({"divide_by": "positives"}, TensorType((3,)), _BITS),
        Example({"divide_by": "positives", "ignore_nan": True}, TensorType((3,)), _GAPS),
        Example({"ignore_nan": True}, TensorType((1,)), [[_NAN], [_NAN]]),
        *_MISTAKES,
    )

    alpha: Annotated[float, Ge(0), Le(1)] | None = 0.25
    gamma: Annotated[float, Ge(0)] = 2.0
    divide_by: Literal["elements", "positives"] = "elements"

    def values(self, x: np.ndarray, y: np.ndarray) -> Any:
        """With z the logit of the label, q = sigmoid(z) and log(1 - q) = -softplus(z)."""
        z = np.where(y > 0.5, x, -x)
        balance = 1.0 if self.alpha is None else np.where(y > 0.5, self.alpha, 1 - self.alpha)
        return balance * np.exp(-self.gamma * softplus(z)) * softplus(-z)

    def weights(self, y: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """Elements, or positive labels."""
        return kept if self.divide_by == "elements" else objects(y > 0.5, kept)


@losses("hinge")
class Hinge(_Binary):
    """How far the output is from the label's side of a margin.

    L = mean over elements of max(1 - y x, 0)^k, with x the outputs, y the labels -1 and 1, and k 2 for
    the squared form, else 1; the gradient at the margin is 0.

    Args:
        squared: Whether the distance is squared.
        ignore_nan: Whether labels that are not a number (NaN) are left out of the mean.

    Shapes: outputs (N, *), labels (N, *) of -1 and 1; or outputs (N, *, 1), labels (N, *) -> scalar. Labels
        that are integers are class ids: 0 stands for -1.
    Weights: 1 for each element, 0 for an ignored one.
    Errors: output-shape.
    Differs: Keras' has a gradient at the margin, and takes numbers 0 and 1 for -1 and 1 too.
    Source: Cortes & Vapnik 1995.
    """

    labels = "labels of -1 and 1"
    examples = (
        Example({}, TensorType((2,)), [[-1.0, 1.0], [1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]]),
        Example({}, TensorType((1,)), _IDS, classes=2),
        Example({}, TensorType((2, 2, 1)), _MASKS),
        Example({"squared": True}, TensorType((2,)), [[-1.0, 1.0], [1.0, 1.0], [-1.0, -1.0]]),
        Example({"ignore_nan": True}, TensorType((2,)), [[-1.0, _NAN], [1.0, 1.0], [_NAN, _NAN]]),
        Example({"ignore_nan": True}, TensorType((1,)), [[_NAN], [_NAN]]),
        *_MISTAKES,
    )

    squared: bool = False

    def read(self, target: np.ndarray) -> np.ndarray:
        """Class ids become -1 and 1."""
        y = np.asarray(target)
        return 2.0 * y - 1.0 if y.dtype.kind in "iu" else y.astype(np.float64)

    def values(self, x: np.ndarray, y: np.ndarray) -> Any:
        """max(1 - y x, 0), squared or not."""
        margin = np.maximum(1 - y * x, 0.0)
        return margin**2 if self.squared else margin


@losses("heatmap_focal")
class HeatmapFocal(_Binary):
    """Focal loss on maps whose peaks are objects and whose slopes are nearly objects.

    L = sum over cells of f / W, with f = (1 - p)^a (-log p) where y = 1, else (1 - y)^b p^a (-log(1 - p)); p is
    the sigmoid of the logit, y the map in [0, 1], a and b the exponents, and W the number of peaks (y = 1),
    a sample without any counted as one.

    Args:
        alpha: a, how strongly the loss of what is right already is reduced.
        beta: b, how strongly the loss around a peak is reduced.
        ignore_nan: Whether cells whose label is not a number (NaN) are left out.

    Shapes: logits (N, *), maps (N, *); or logits (N, *, 1), maps (N, *) -> scalar.
    Weights: each sample's number of peaks, at least 1; 0 for a sample that is ignored whole.
    Errors: output-shape.
    Differs: the published code counts peaks over the batch and clips p at 1e-4.
    Source: Law & Deng 2018; Zhou, Wang & Krähenbühl 2019.
    """

    labels = "maps in [0, 1]"
    examples = (
        Example({}, TensorType((2, 2, 1)), [[[0.0, 1.0], [0.6, 0.2]], [[1.0, 1.0], [0.0, 0.9]]]),
        Example({}, TensorType((3,)), [[0.0, 0.1, 0.99], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
        Example({"alpha": 1.0, "beta": 2.0}, TensorType((3,)), [[0.0, 0.1, 0.99], [1.0, 0.0, 1.0]]),
        Example({"ignore_nan": True}, TensorType((3,)), [[0.0, _NAN, 1.0], [_NAN, _NAN, _NAN], [0.5, 1.0, 1.0]]),
        Example({"ignore_nan": True}, TensorType((1,)), [[_NAN], [_NAN]]),
        Example({}, TensorType((2,)), [[0.0, 0.5, 1.0]], raises="output-shape"),
    )

    alpha: Annotated[float, Gt(0)] = 2.0
    beta: Annotated[float, Ge(0)] = 4.0

    def values(self, x: np.ndarray, y: np.ndarray) -> Any:
        """Powers of p and 1 - p as exponentials of their logarithms, which softplus gives."""
        peak = np.exp(-self.alpha * softplus(x)) * softplus(-x)
        slope = (1 - y) ** self.beta * np.exp(-self.alpha * softplus(-x)) * softplus(x)
        return np.where(y == 1, peak, slope)

    def weights(self, y: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """Peaks."""
        return objects(y == 1, kept)
