"""The loss and the metrics of a whole split, batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dlrun.graph import TensorType
from dlrun.losses import Loss, Sum
from dlrun.metrics.metric import Metric


class Evaluation:
    """Sums over batches in float64, so that the result does not depend on the batch size.

    Args:
        loss: What the recipe's loss computes of the model's answer, or None.
        metrics: The recipe's metrics.
        classes: Number of classes, or None.
        ignore_label: The class id of places that no metric counts, or None.
    """

    def __init__(
        self, loss: Loss | None, metrics: Sequence[Metric], classes: int | None, ignore_label: int | None = None
    ) -> None:
        self._loss = loss
        self._ignore_label = ignore_label
        self._total: Sum = 0.0
        self._weight: Sum = 0.0
        self._accumulators = [metric.start(classes) for metric in metrics]
        self.samples = 0

    def add(self, output: np.ndarray, target: np.ndarray) -> None:
        """Count one batch. Shapes: model outputs (N, *), labels (N, *target)."""
        if self._loss is not None:
            self._loss.check_labels({"answer": TensorType(output.shape[1:])}, target)
            total, weight = self._loss.sums(output, target)
            self._total = self._total + total
            self._weight = self._weight + weight
        self.samples += len(target)
        if target.dtype.kind in "iu":
            output, target = self._places(output, target)
        for accumulator in self._accumulators:
            accumulator.add(output, target)

    def _places(self, output: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits and class ids of each place that counts, (M, C) or (M,) and (M,): a pixel counts like a sample."""
        single = output.ndim == target.ndim and output.shape[-1:] == target.shape[-1:]
        logits = output.reshape(-1) if single else output.reshape(-1, output.shape[-1])
        ids = target.reshape(-1)
        if self._ignore_label is None:
            return logits, ids
        kept = ids != self._ignore_label
        return logits[kept], ids[kept]

    def result(self) -> dict[str, Any]:
        """JSON-ready values: ``loss`` first if there is one, then each metric's, in the recipe's order."""
        values: dict[str, Any] = {}
        if self._loss is not None:
            values["loss"] = self._loss.value(self._total, self._weight)
        for accumulator in self._accumulators:
            values.update(accumulator.result())
        return values
