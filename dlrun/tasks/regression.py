"""Numbers per sample."""

from __future__ import annotations

import numpy as np

from dlrun.data.source import Signature
from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType
from dlrun.tasks.task import Answer, Cell, Task, labels_width, needs_rows, tasks, unfit


class Numbers(Task):
    """What tasks with numbers as labels have in common."""

    default_loss = "mse"

    def width(self, signature: Signature) -> int | None:
        return labels_width(signature)

    def check_labels(self, signature: Signature) -> list[DlrunError]:
        if signature.classes is None:
            return []
        has = f"the data has {signature.classes} classes"
        fits = {1: "tabular_classification", 3: "image_classification"}.get(signature.input.rank, "classification")
        return [unfit(self, "numbers as labels", has, f"Use `task: {fits}`.")]

    def answer(self, output: np.ndarray, signature: Signature) -> Answer | None:
        values = [float(v) for v in np.ravel(output)]
        if len(values) == 1:
            return Answer({"value": values[0]}, {"value": values[0]}, {"value": values[0]})
        cells: dict[str, Cell] = {f"value_{i}": v for i, v in enumerate(values, 1)}
        return Answer({"values": values}, cells, {"values": ", ".join(f"{v:.6g}" for v in values)})


@tasks("regression")
class Regression(Numbers):
    """Numbers per sample."""

    file = "samples.npy"


@tasks("tabular_regression")
class TabularRegression(Numbers):
    """Numbers per row of a table."""

    file = "rows.csv"

    default_metrics = ("rmse", "r2")

    def check(self, signature: Signature, output: TensorType) -> list[DlrunError]:
        return needs_rows(self, signature, "regression")
