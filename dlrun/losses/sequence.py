"""Losses of sequences whose alignment with the labels is not known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from annotated_types import Ge

from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType
from dlrun.losses.loss import Example, Loss, are_ids, log_softmax, losses, require_ids

_ROWS = [[1, 2, 2, 3], [4, 5, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [6, 6, 6, 6]]


@losses("ctc")
class CTC(Loss):
    """Negative log-likelihood of label sequences, summed over their alignments (connectionist temporal classification).

    L = mean over samples of -log sum_a prod_t p_t(a_t), with p_t the softmax of the logits of frame t, and a
    every sequence of one label or blank a frame that becomes the sample's labels when repeats are merged and
    then blanks are dropped.

    Args:
        blank: The id that stands for no label.
        frame_counts: Whether the first number of each row of labels is that sample's number of frames; else all
            frames count.

    Shapes: logits (N, T, C), ids (N, U) -> scalar. A row of ids ends at its first blank or negative id.
    Weights: 1 for each sample. A sample with more labels (and pauses between equal ones) than frames has loss 0.
    Errors: output-shape, wrong-target, blank-not-a-class, label-out-of-range.
    Differs: torch's `mean` divides each sample by its number of labels; without alignment torch's loss is
        infinite and TensorFlow's a large number.
    Source: Graves et al. 2006.
    """

    examples = (
        Example({}, TensorType((8, 7)), _ROWS, classes=7),
        Example({}, TensorType((5, 7)), _ROWS),
        Example({"blank": 6}, TensorType((9, 7)), [[1, 2, 2, 0], [5, 6, -1, -1], [-1, -1, -1, -1]]),
        Example(
            {"frame_counts": True},
            TensorType((6, 4)),
            [[6, 1, 2], [3, 3, 0], [2, 1, 1], [9, 2, 3], [1, 2, 0], [0, 3, 0]],
        ),
        Example({}, TensorType((1, 3)), [[1, 0], [0, 0], [1, 2]]),
        Example({}, TensorType((2, 3)), [[1, 1, 1], [2, 2, 0]]),
        Example({}, TensorType((7,)), _ROWS, classes=7, raises="output-shape"),
        Example({}, TensorType((5, 7)), [1, 2], classes=7, raises="wrong-target"),
        Example({}, TensorType((5, 6)), _ROWS, classes=7, raises="output-shape"),
        Example({"blank": 7}, TensorType((5, 7)), _ROWS, raises="blank-not-a-class"),
    )

    blank: Annotated[int, Ge(0)] = 0
    frame_counts: bool = False

    def check(self, output: TensorType, target: TensorType, classes: int | None) -> None:
        """Logits for each frame, and a row of ids a sample."""
        if target.dtype != "int" or target.rank != 1 or target.shape[0] < (2 if self.frame_counts else 1):
            raise DlrunError(
                "wrong-target",
                f"`{self.kind}` needs a row of ids for each sample, but the labels are {target.dtype} `{target}`.",
                path=("loss",),
                hint="Use `softmax_cross_entropy` for one class per sample or per frame.",
            )
        if output.rank != 2 or (classes is not None and output.shape[-1] < classes):
            raise DlrunError(
                "output-shape",
                f"`{self.kind}` needs logits (N, frames, {classes or 'classes'}); the model's output is `{output}`.",
                path=("model",),
                hint="End with a layer that gives each frame one logit per class, the blank among them.",
            )
        if self.blank >= output.shape[-1]:
            raise DlrunError(
                "blank-not-a-class",
                f"`blank: {self.blank}` is none of the {output.shape[-1]} classes of the model's output.",
                path=("loss", "blank"),
                hint=f"Use an id from 0 to {output.shape[-1] - 1}.",
            )

    def check_labels(self, outputs: Mapping[str, TensorType], target: np.ndarray) -> None:
        """Ids up to the end of each row; what stands behind is not read."""
        classes = next(iter(outputs.values())).shape[-1]
        if not are_ids(target, classes):
            y = target[:, 1:] if self.frame_counts else target
            require_ids(self.kind, y[self._kept(y)], classes)

    def _kept(self, y: np.ndarray) -> np.ndarray:
        """Whether an id stands before the end of its row."""
        kept: np.ndarray = np.cumprod((y != self.blank) & (y >= 0), 1).astype(bool)
        return kept

    def sums(self, output: np.ndarray, target: np.ndarray) -> tuple[float, float]:
        """The forward recursion, in logarithms."""
        logp, y = log_softmax(output), np.asarray(target, np.int64)
        samples, steps, _ = logp.shape
        frames = np.full(samples, steps)
        if self.frame_counts:
            frames, y = np.clip(y[:, 0], 1, steps), y[:, 1:]
        kept = self._kept(y)
        states = np.full((samples, 2 * y.shape[1] + 1), self.blank)  # blank, label, blank, label, …, blank
        states[:, 1::2] = np.where(kept, y, self.blank)
        skips = np.zeros(states.shape, bool)  # from label to label, past the blank between different ones
        skips[:, 2:] = (states[:, 2:] != self.blank) & (states[:, 2:] != states[:, :-2])
        emitted = np.take_along_axis(logp, states[:, None, :].repeat(steps, 1), 2)
        reached = np.full(states.shape, -np.inf)
        reached[:, :2] = emitted[:, 0, :2]
        for t in range(1, steps):
            one = np.pad(reached, ((0, 0), (1, 0)), constant_values=-np.inf)[:, :-1]
            two = np.pad(reached, ((0, 0), (2, 0)), constant_values=-np.inf)[:, :-2]
            after = np.logaddexp(np.logaddexp(reached, one), np.where(skips, two, -np.inf)) + emitted[:, t]
            reached = np.where(t < frames[:, None], after, reached)
        last = 2 * kept.sum(1, keepdims=True)
        place = np.arange(states.shape[1])
        likelihood = np.logaddexp.reduce(np.where((place == last) | (place == last - 1), reached, -np.inf), 1)
        return float(-np.where(np.isfinite(likelihood), likelihood, 0.0).sum()), float(samples)
