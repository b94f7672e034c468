"""Losses that compare each number of the output with one label."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from dlrun.described import described
from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType
from dlrun.losses.loss import Loss


@described
class Elementwise(Loss):
    """A mean over elements.

    Args:
        ignore_nan: Whether labels that are not a number (NaN) count nothing, in either sum.
    """

    labels: ClassVar[str] = "numbers"
    """What the labels are, as error messages say it."""

    ignore_nan: bool = False

    def check(self, output: TensorType, target: TensorType, classes: int | None) -> None:
        """Labels have the output's shape, or it without a last axis of one."""
        wanted = [(*target.shape, 1)] if target.rank == 0 else [target.shape, (*target.shape, 1)]
        if output.shape in wanted:
            return
        shapes = " or ".join(f"`{TensorType(w)}`" for w in wanted)
        data = f"the labels are {self.labels} {target}" if classes is None else f"the data has {classes} classes"
        raise DlrunError(
            "output-shape",
            f"`{self.kind}` needs an output of shape {shapes} for {self.labels}; the model's is `{output}` and {data}.",
            path=("loss",),
            hint="Change the model's last layer, or choose a loss that fits the labels.",
        )

    def values(self, x: np.ndarray, y: np.ndarray) -> Any:
        """The value of each element, of outputs and labels of one shape."""
        raise NotImplementedError

    def weights(self, y: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """Weights whose sum is the loss' divisor; ``kept`` is False where a label is ignored."""
        return kept

    def read(self, target: np.ndarray) -> np.ndarray:
        """Labels as numbers."""
        return np.asarray(target, np.float64)

    def sums(self, output: np.ndarray, target: np.ndarray) -> tuple[float, float]:
        """See ``Loss``."""
        x = np.asarray(output, np.float64)
        y = self.read(target).reshape(x.shape)
        kept = ~np.isnan(y) if self.ignore_nan else np.ones(y.shape, bool)
        y = np.where(kept, y, 0.0)
        return float(np.where(kept, self.values(x, y), 0.0).sum()), float(self.weights(y, kept).sum())


def objects(positives: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Each sample's number of positives, counted as one where there are none, and as none where nothing is kept."""
    axes = tuple(range(1, kept.ndim))
    found = np.maximum((positives & kept).sum(axes), 1)
    result: np.ndarray = np.where(kept.any(axes), found, 0)
    return result
