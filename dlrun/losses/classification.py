"""Losses for one of several classes, from logits whose last axis has one entry per class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from annotated_types import Ge, Lt

from dlrun.described import described
from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType
from dlrun.losses.loss import Example, Loss, are_ids, log_softmax, losses, require_ids

_IDS = [0, 2, 1, 2]
_MAPS = [[[0, 1], [2, 2]], [[1, 1], [0, 2]]]
_HOLES = [[0, 255, 2], [255, 255, 255], [1, 1, 255]]
_SHARES = [[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.25, 0.75, 0.0]]
_MISTAKES = (
    Example({}, TensorType((9,)), _IDS, classes=10, raises="output-classes"),
    Example({}, TensorType((2, 3)), _IDS, classes=3, raises="output-classes"),
    Example({"class_weights": (1.0, 1.0)}, TensorType((3,)), _IDS, classes=3, raises="class-weights-length"),
    Example({}, TensorType((3,)), [0.5, 1.0], raises="wrong-target"),
)


@described
class _Softmax(Loss):
    class_weights: tuple[Annotated[float, Ge(0)], ...] | None = None
    ignore_index: int | None = None

    def check(self, output: TensorType, target: TensorType, classes: int | None) -> None:
        """One logit per class in the last axis, and a label for each of the other places."""
        if target.dtype == "int":
            fits = output.rank == target.rank + 1 and output.shape[:-1] == target.shape
            if not fits or classes not in (None, output.shape[-1]):
                raise self._misfit(output, target, classes)
        else:
            self._check_shares(output, target)
        if self.class_weights is not None and len(self.class_weights) != output.shape[-1]:
            raise DlrunError(
                "class-weights-length",
                f"`class_weights` has {len(self.class_weights)} entries for {output.shape[-1]} classes.",
                path=("loss", "class_weights"),
                hint="Write one weight per class.",
            )

    def check_labels(self, outputs: Mapping[str, TensorType], target: np.ndarray) -> None:
        """Class ids but for those that are ignored."""
        classes = next(iter(outputs.values())).shape[-1]
        if not are_ids(target, classes):
            require_ids(self.kind, self._read(target)[0], classes)

    def _misfit(self, output: TensorType, target: TensorType, classes: int | None) -> DlrunError:
        wanted = ", ".join(["N", *map(str, target.shape), "classes" if classes is None else str(classes)])
        data = "labels" if classes is None else f"{classes} classes"
        places = f", one for each place of {target}" if target.rank else ""
        return DlrunError(
            "output-classes",
            f"the model's output is `{output}` but the data has {data}{places}, so it must be ({wanted}).",
            path=("model",),
            hint='End with `dense: {units: "${data.classes}"}`, or leave `units` out of the last dense layer.'
            if target.rank == 0
            else "End with a layer whose last axis has one entry per class.",
        )

    def _check_shares(self, output: TensorType, target: TensorType) -> None:
        raise DlrunError(
            "wrong-target",
            f"`{self.kind}` needs class ids, but the labels are {target.dtype} `{target}`.",
            path=("loss",),
            hint="Use `softmax_cross_entropy` for shares of classes, `focal` for 0/1 labels or `mse` for numbers.",
        )

    def _weights(self, classes: int) -> np.ndarray:
        return np.ones(classes) if self.class_weights is None else np.asarray(self.class_weights, np.float64)

    def _read(self, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Class ids, 0 where they are ignored, and whether they count."""
        y = np.asarray(target, np.int64)
        kept = np.ones(y.shape, bool) if self.ignore_index is None else y != self.ignore_index
        return np.where(kept, y, 0), kept


@losses("softmax_cross_entropy")
class SoftmaxCrossEntropy(_Softmax):
    """Cross entropy between classes, or shares of classes, and the softmax of logits.

    L = sum_i sum_c w_c q_ic n_ic / sum_i sum_c w_c y_ic, with n = -log_softmax(x) for the logits x, y_ic
    the share of class c in label i (1 for the class id, else 0), w the class weights (1 when left
    out), q_ic = (1 - s) y_ic + (s / C) sum_k y_ik, s the label smoothing and C the number of classes.

    Args:
        label_smoothing: s, in [0, 1).
        class_weights: w, one per class.
        ignore_index: The class id of places that count nothing, in either sum; any integer.

    Shapes: logits (N, *, C), class ids (N, *) or shares (N, *, C) -> scalar.
    Weights: w of the class for each place; with shares their weighted sum, so a row of zeros counts nothing.
    Errors: output-classes, class-weights-length, wrong-target, output-shape, contradiction, label-out-of-range.
    Differs: Keras divides by the batch size instead of the sum of weights; torch's mean is NaN when
        all is ignored, and divides shares by their number.
    Source: Szegedy et al. 2016 (smoothing).
    """

    known_as = (
        "ce",
        "cross_entropy",
        "cross_entropy_loss",
        "categorical_crossentropy",
        "sparse_categorical_crossentropy",
        "nll",
        "nll_loss",
    )

    examples = (
        Example({}, TensorType((3,)), _IDS, classes=3),
        Example({}, TensorType((2, 2, 3)), _MAPS, classes=3),
        Example({"label_smoothing": 0.1}, TensorType((3,)), _IDS),
        Example({"class_weights": (1.0, 2.0, 0.5)}, TensorType((3,)), _IDS),
        Example({"class_weights": (0.0, 2.0, 0.5), "label_smoothing": 0.2}, TensorType((2, 2, 3)), _MAPS),
        Example({"class_weights": (0.0, 0.0, 1.0), "label_smoothing": 0.2}, TensorType((3,)), [0, 1]),
        Example({"ignore_index": 255}, TensorType((3, 3)), _HOLES),
        Example({"ignore_index": -100}, TensorType((3,)), [-100, -100]),
        Example({"ignore_index": 0}, TensorType((2, 2, 3)), _MAPS, classes=3),
        Example(
            {"ignore_index": 255, "class_weights": (1.0, 2.0, 0.5), "label_smoothing": 0.1},
            TensorType((3, 3)),
            _HOLES,
        ),
        Example({}, TensorType((3,)), _SHARES),
        Example({"label_smoothing": 0.1}, TensorType((3,)), _SHARES),
        Example({"class_weights": (1.0, 2.0, 0.5), "label_smoothing": 0.1}, TensorType((3,)), _SHARES),
        Example({}, TensorType((2, 3)), [_SHARES[:2], _SHARES[2:]]),
        Example({}, TensorType((3,)), [[0.0, 0.0, 0.0]]),
        *_MISTAKES,
        Example({}, TensorType((3,)), [[0.5, 0.5]], raises="output-shape"),
        Example({"ignore_index": 0}, TensorType((3,)), _SHARES, raises="contradiction"),
    )

    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0

    def _check_shares(self, output: TensorType, target: TensorType) -> None:
        if target.rank == 0:
            raise DlrunError(
                "wrong-target",
                f"`{self.kind}` needs class ids or a share for each class, but the labels are {target.dtype} "
                f"`{target}`.",
                path=("loss",),
                hint="Use `binary_cross_entropy` for 0/1 vectors or `mse` for numbers.",
            )
        if output.shape != target.shape:
            raise DlrunError(
                "output-shape",
                f"`{self.kind}` needs an output of shape `{target}` like the shares of classes; the model's is "
                f"`{output}`.",
                path=("loss",),
                hint="Change the model's last layer, or choose a loss that fits the labels.",
            )
        if self.ignore_index is not None:
            raise DlrunError(
                "contradiction",
                f"`ignore_index: {self.ignore_index}` is a class id, but the labels are shares `{target}`.",
                path=("loss", "ignore_index"),
                hint="Remove it: a row of zeros counts nothing.",
            )

    def sums(self, output: np.ndarray, target: np.ndarray) -> tuple[float, float]:
        """See ``Loss``."""
        n, s = -log_softmax(output), self.label_smoothing
        classes = n.shape[-1]
        w = self._weights(classes)
        if np.asarray(target).dtype.kind in "iu":
            ids, kept = self._read(target)
            y = np.eye(classes)[ids] * kept[..., None]
        else:
            y = np.asarray(target, np.float64)
        q = (1 - s) * y + s / classes * y.sum(-1, keepdims=True)
        return float((w * q * n).sum()), float((w * y).sum())


@losses("softmax_focal")
class SoftmaxFocal(_Softmax):
    """Cross entropy between classes that turns to what is still wrong.

    L = sum_i w[y_i] (1 - p_i)^g (-log p_i) / sum_i w[y_i], with p_i the softmax of the logits at the class
    id y_i, g the gamma and w the class weights (1 when left out).

    Args:
        gamma: g, how strongly the loss of what is right already is reduced; 0 is cross entropy.
        class_weights: w, one per class.
        ignore_index: The class id of places that count nothing, in either sum; any integer.

    Shapes: logits (N, *, C) of at least two classes, class ids (N, *) -> scalar.
    Weights: w of the class for each place.
    Errors: output-classes, class-weights-length, wrong-target, label-out-of-range.
    Differs: Keras' clips probabilities and divides by the batch size instead of the sum of weights.
    Source: Lin et al. 2017.
    """

    examples = (
        Example({}, TensorType((3,)), _IDS, classes=3),
        Example({}, TensorType((2, 2, 3)), _MAPS, classes=3),
        Example({"gamma": 0.0}, TensorType((3,)), _IDS),
        Example({"gamma": 0.5, "class_weights": (1.0, 2.0, 0.5)}, TensorType((3,)), _IDS),
        Example({"ignore_index": 255}, TensorType((3, 3)), _HOLES),
        Example({"ignore_index": -100}, TensorType((3,)), [-100, -100]),
        Example({"class_weights": (0.0, 1.0)}, TensorType((2,)), [0, 0]),
        *_MISTAKES,
        Example({}, TensorType((1,)), [0, 0], raises="output-classes"),
    )

    gamma: Annotated[float, Ge(0)] = 2.0

    def check(self, output: TensorType, target: TensorType, classes: int | None) -> None:
        """At least two classes, else as cross entropy."""
        if output.rank and output.shape[-1] < 2:
            raise self._misfit(output, target, 2 if classes is None else classes)
        _Softmax.check(self, output, target, classes)

    def sums(self, output: np.ndarray, target: np.ndarray) -> tuple[float, float]:
        """With log(1 - p) from the other classes' logits, so that p close to 1 loses no digits."""
        x = np.asarray(output, np.float64)
        ids, kept = self._read(target)
        own = np.eye(x.shape[-1], dtype=bool)[ids]
        shares = log_softmax(x)
        wrong = np.logaddexp.reduce(np.where(own, -np.inf, shares), -1)
        values = -np.exp(self.gamma * wrong) * shares[own].reshape(ids.shape)
        w = self._weights(x.shape[-1])[ids] * kept
        return float((w * values).sum()), float(w.sum())
