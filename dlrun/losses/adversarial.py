"""The losses of two networks trained against each other."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from dlrun.graph.tensor import TensorType
from dlrun.losses.loss import Example, Loss, losses, softplus


@losses("adversarial")
class Adversarial(Loss):
    """Binary cross entropy between a score and one label for every sample: real (1) or generated (0).

    L = mean over samples and a sample's numbers of q softplus(-x) + (1 - q) softplus(x), with x the scores (logits)
    and q the label. The discriminator learns with label 1 for scores of real samples and 0 for generated ones; the
    generator with label 1 for scores of generated ones, the form whose gradient does not vanish while it is weak.

    Args:
        label: q, in [0, 1]; 0.9 for real samples is one-sided smoothing.

    Shapes: scores (N, *); the data's labels are not read -> scalar.
    Weights: 1 for each sample.
    Errors: none.
    Differs: the frameworks' binary cross entropy wants a tensor of labels.
    Source: Goodfellow et al. 2014.
    """

    examples = (
        Example({}, TensorType((1,)), [0, 1, 0]),
        Example({"label": 0.0}, TensorType((1,)), [0.5, 1.0]),
        Example({"label": 0.9}, TensorType((2, 3)), [[1.0, 2.0], [3.0, 4.0], [0.0, 0.0]]),
    )

    label: Annotated[float, Ge(0), Le(1)] = 1.0

    def check(self, output: TensorType, target: TensorType, classes: int | None) -> None:
        """Any scores will do."""

    def sums(self, output: np.ndarray, target: np.ndarray) -> tuple[float, float]:
        """See ``Loss``."""
        x = np.asarray(output, np.float64)
        values = self.label * softplus(-x) + (1 - self.label) * softplus(x)
        return float(values.sum() / max(x[0].size, 1)), float(len(x))
