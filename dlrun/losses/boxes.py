"""Losses of how much two boxes overlap."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from annotated_types import Gt

from dlrun.described import described
from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType
from dlrun.losses.loss import Example, Loss, losses

_BOX = [[0.0, 0.0, 2.0, 1.0], [-1.0, 0.5, 3.0, 4.0], [1.0, 1.0, 1.0, 5.0], [10.0, 20.0, 30.0, 50.0]]
_NONE = [0.0, 0.0, 0.0, 0.0]


@described
class _Boxes(Loss):
    examples = (
        Example({}, TensorType((4,)), _BOX),
        Example({}, TensorType((3, 4)), [[_BOX[0], _BOX[1], _NONE], [_NONE, _NONE, _NONE], [_BOX[3], _NONE, _BOX[2]]]),
        Example({}, TensorType((4,)), [_NONE, _NONE]),
        Example({"epsilon": 1e-3}, TensorType((4,)), _BOX[:2]),
        Example({}, TensorType((3,)), [[0.0, 1.0, 2.0]], raises="output-shape"),
        Example({}, TensorType((4,)), [0.0, 1.0], raises="output-shape"),
    )

    epsilon: Annotated[float, Gt(0)] = 1e-7

    def check(self, output: TensorType, target: TensorType, classes: int | None) -> None:
        """Four numbers a box, as many boxes as labels."""
        if target.dtype != "float" or target.rank == 0 or target.shape[-1] != 4 or output.shape != target.shape:
            raise DlrunError(
                "output-shape",
                f"`{self.kind}` needs boxes (N, *, 4) for labels of the same shape, but the model's output is "
                f"`{output}` and the labels are {target.dtype} {target}.",
                path=("loss",),
                hint="A box is (left, top, right, bottom).",
            )

    def values(self, x: np.ndarray, y: np.ndarray) -> Any:
        """The value of each pair of boxes."""
        raise NotImplementedError

    def sums(self, output: np.ndarray, target: np.ndarray) -> tuple[float, float]:
        """See ``Loss``."""
        x, y = np.asarray(output, np.float64), np.asarray(target, np.float64)
        kept = area(y) > 0
        return float(np.where(kept, self.values(x, y), 0.0).sum()), float(kept.sum())


def area(box: np.ndarray) -> np.ndarray:
    """Width times height; 0 for a box that is turned inside out."""
    result: np.ndarray = np.maximum(box[..., 2:] - box[..., :2], 0).prod(-1)
    return result


def overlap(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Areas of the intersection and of the union."""
    corners = np.concatenate([np.maximum(x[..., :2], y[..., :2]), np.minimum(x[..., 2:], y[..., 2:])], -1)
    shared = area(corners)
    return shared, area(x) + area(y) - shared


@losses("iou")
class IoU(_Boxes):
    """One minus the overlap of boxes: intersection over union.

    L = mean over boxes of 1 - I / (U + e), with I the area that the predicted box and the label share, U
    the area that either covers, and e the epsilon. Boxes are (left, top, right, bottom) in one unit.

    Args:
        epsilon: e, which keeps the ratio of empty boxes finite.

    Shapes: boxes (N, *, 4), labels (N, *, 4) -> scalar.
    Weights: 1 for each label, 0 for a label without area (so rows can be filled up with zeros).
    Errors: output-shape.
    Differs: where edges meet, the gradient is 0; the maxima of both frameworks split or assign it.
    Source: Yu et al. 2016.
    """

    def values(self, x: np.ndarray, y: np.ndarray) -> Any:
        """1 - I / (U + e)."""
        shared, union = overlap(x, y)
        return 1 - shared / (union + self.epsilon)


@losses("giou")
class GIoU(_Boxes):
    """One minus the generalized overlap of boxes, which also pulls boxes together that do not touch.

    L = mean over boxes of 1 - I / (U + e) + (H - U) / (H + e), with I the area that the predicted box and the
    label share, U the area that either covers, H the area of the smallest box around both, and e the epsilon.

    Args:
        epsilon: e, which keeps the ratios of empty boxes finite.

    Shapes: boxes (N, *, 4), labels (N, *, 4), each (left, top, right, bottom) -> scalar.
    Weights: 1 for each label, 0 for a label without area (so rows can be filled up with zeros).
    Errors: output-shape.
    Differs: where edges meet, the gradient is 0; the maxima of both frameworks split or assign it.
    Source: Rezatofighi et al. 2019.
    """

    def values(self, x: np.ndarray, y: np.ndarray) -> Any:
        """1 - I / (U + e) + (H - U) / (H + e)."""
        shared, union = overlap(x, y)
        around = np.concatenate([np.minimum(x[..., :2], y[..., :2]), np.maximum(x[..., 2:], y[..., 2:])], -1)
        hull = area(around)
        return 1 - shared / (union + self.epsilon) + (hull - union) / (hull + self.epsilon)
