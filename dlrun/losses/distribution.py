"""Losses between distributions."""

from __future__ import annotations

import numpy as np

from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType
from dlrun.losses.loss import Example, Loss, log_softmax, losses

_SHARES = [[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.25, 0.75, 0.0]]


@losses("kl_divergence")
class KLDivergence(Loss):
    """How far the softmax of logits is from given shares (Kullback-Leibler divergence).

    L = mean over rows of sum_c p_c (log p_c - log q_c), with p the shares, q the softmax of the logits over
    the last axis, and 0 log 0 = 0.

    Args: none.

    Shapes: logits (N, *, C), shares (N, *, C), each row of which adds up to 1 -> scalar.
    Weights: 1 for each row.
    Errors: output-shape.
    Differs: torch's `mean` also divides by C (its `batchmean` does not); Keras reads probabilities and clips both.
    Source: Kullback & Leibler 1951.
    """

    known_as = ("kl", "kl_div", "kl_div_loss", "kld")

    examples = (
        Example({}, TensorType((3,)), _SHARES),
        Example({}, TensorType((2, 2)), [[[0.5, 0.5], [1.0, 0.0]], [[0.25, 0.75], [0.0, 1.0]]]),
        Example({}, TensorType((2,)), _SHARES, raises="output-shape"),
        Example({}, TensorType((3,)), [0, 1], classes=3, raises="output-shape"),
    )

    def check(self, output: TensorType, target: TensorType, classes: int | None) -> None:
        """Logits and shares have one shape."""
        if target.dtype != "float" or target.rank == 0 or output.shape != target.shape:
            raise DlrunError(
                "output-shape",
                f"`{self.kind}` needs logits and shares of one shape, but the model's output is `{output}` and "
                f"the labels are {target.dtype} {target}.",
                path=("loss",),
                hint="Use `softmax_cross_entropy` for class ids.",
            )

    def sums(self, output: np.ndarray, target: np.ndarray) -> tuple[float, float]:
        """See ``Loss``."""
        p = np.asarray(target, np.float64)
        entropy = p * np.log(np.where(p > 0, p, 1.0))
        return float((entropy - p * log_softmax(output)).sum()), float(p[..., 0].size)
