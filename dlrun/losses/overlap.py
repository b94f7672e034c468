"""Losses of how much two regions overlap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from annotated_types import Gt

from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType
from dlrun.losses.loss import Example, Loss, are_ids, log_softmax, losses, require_ids

_MAPS = [[[0, 1], [2, 2]], [[1, 1], [0, 255]]]
_MASKS = [[[0.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]]


@losses("dice")
class Dice(Loss):
    """One minus the overlap of masks, from logits.

    L = mean over samples of mean over channels of 1 - (2 sum p y + s) / (sum p + sum y + s), sums over
    the places of one sample and channel; p is the softmax of the logits where labels are ids of several
    classes (y then 1 in the class' channel), else their sigmoid, y the mask and s the smoothing.

    Args:
        smooth: s, above 0; the loss of an empty mask that is predicted empty is 0.
        ignore_index: The class id of places that count nothing; any integer.

    Shapes: logits (N, *, C), class ids (N, *); or logits (N, *), masks (N, *) in [0, 1]; or logits (N, *, 1), masks
        or ids of two classes (N, *) -> scalar. The last axis of the logits is the channels.
    Weights: 1 for each sample, 0 for one that is ignored whole.
    Errors: output-classes, wrong-target, contradiction, label-out-of-range.
    Differs: Keras' is one ratio over the whole batch.
    Source: Milletari, Navab & Ahmadi 2016.
    """

    examples = (
        Example({"ignore_index": 255}, TensorType((2, 2, 3)), _MAPS, classes=3),
        Example({}, TensorType((2, 2)), [[0, 1], [1, 1], [0, 0]], classes=2),
        Example({"smooth": 1e-3}, TensorType((2, 2, 1)), _MASKS),
        Example({}, TensorType((2, 2, 2)), [[_MASKS[0], _MASKS[1]], [_MASKS[1], _MASKS[0]]]),
        Example({}, TensorType((2, 2, 1)), [[[0, 1], [1, 1]], [[0, 0], [0, 0]]], classes=2),
        Example({"ignore_index": -1}, TensorType((2, 1)), [[0, -1], [-1, -1]], classes=2),
        Example({"ignore_index": -1}, TensorType((2, 2)), [[-1, -1], [-1, -1]]),
        Example({}, TensorType((2, 2, 4)), _MAPS, classes=3, raises="output-classes"),
        Example({}, TensorType((2, 3)), _MASKS, raises="output-classes"),
        Example({}, TensorType((1,)), [0.0, 1.0], raises="wrong-target"),
        Example({"ignore_index": 255}, TensorType((2, 2, 1)), _MASKS, raises="contradiction"),
    )

    smooth: Annotated[float, Gt(0)] = 1.0
    ignore_index: int | None = None

    def check(self, output: TensorType, target: TensorType, classes: int | None) -> None:
        """A channel for each class, or as many as the masks have."""
        if target.rank == 0:
            raise DlrunError(
                "wrong-target",
                f"`{self.kind}` needs a mask for each sample, but the labels are one {target.dtype} each, `{target}`.",
                path=("loss",),
                hint="Use `softmax_cross_entropy` or `binary_cross_entropy`.",
            )
        if target.dtype == "float":
            fits = output.shape in (target.shape, (*target.shape, 1))
        else:
            places, channels = output.shape[:-1], output.shape[-1]
            fits = places == target.shape and (classes in (None, channels) or (channels, classes) == (1, 2))
        if not fits:
            data = f"{classes} classes" if classes is not None else target.dtype
            raise DlrunError(
                "output-classes",
                f"`{self.kind}` needs a channel for each class of labels {target} ({data}), or an output of the shape "
                f"of masks; the model's output is `{output}`.",
                path=("model",),
                hint="End with a layer whose last axis has one entry per class, or one entry for two classes.",
            )
        if target.dtype == "float" and self.ignore_index is not None:
            raise DlrunError(
                "contradiction",
                f"`ignore_index: {self.ignore_index}` is a class id, but the labels are masks of numbers.",
                path=("loss", "ignore_index"),
                hint="Remove it.",
            )

    def check_labels(self, outputs: Mapping[str, TensorType], target: np.ndarray) -> None:
        """Class ids of several channels, but for those that are ignored."""
        channels = next(iter(outputs.values())).shape[-1]
        if channels > 1 and not are_ids(target, channels):
            counted = target if self.ignore_index is None else target[target != self.ignore_index]
            require_ids(self.kind, counted, channels)

    def sums(self, output: np.ndarray, target: np.ndarray) -> tuple[float, float]:
        """See ``Loss``."""
        x, y = np.asarray(output, np.float64), np.asarray(target)
        samples, channels = len(x), x.shape[-1]
        kept = np.ones(y.shape, bool) if self.ignore_index is None else y != self.ignore_index
        y = np.where(kept, y, 0)
        several = y.dtype.kind in "iu" and channels > 1
        if several:
            p, y = np.exp(log_softmax(x)), np.eye(channels)[y]
        else:
            p = np.exp(-np.logaddexp(0, -x))
        inside = kept.reshape(samples, -1, 1 if several else channels)
        p, y = (np.where(inside, v.reshape(samples, -1, channels), 0.0) for v in (p, y))
        ratio = (2 * (p * y).sum(1) + self.smooth) / (p.sum(1) + y.sum(1) + self.smooth)
        counted = kept.reshape(samples, -1).any(1)
        return float(((1 - ratio).mean(1) * counted).sum()), float(counted.sum())
