"""One class per sample."""

from __future__ import annotations

import numpy as np

from dlrun.data.source import Signature
from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType
from dlrun.losses import log_softmax
from dlrun.tasks.task import Answer, Task, labels_width, needs_images, needs_rows, tasks, unfit

TOP = 5
"""How many classes prediction names."""


class Classifies(Task):
    """What tasks with class ids as labels have in common."""

    default_loss = "softmax_cross_entropy"
    default_metrics = ("accuracy",)

    def width(self, signature: Signature) -> int | None:
        return labels_width(signature)

    def check_labels(self, signature: Signature) -> list[DlrunError]:
        if signature.classes is not None:
            return []
        fits = "tabular_regression" if signature.input.rank == 1 else "regression"
        return [unfit(self, "class ids", f"the data's labels are {signature.target}", f"Use `task: {fits}`.")]

    def check(self, signature: Signature, output: TensorType) -> list[DlrunError]:
        if signature.classes != 1:
            return []
        has = "and all labels of the data are of one"
        return [unfit(self, "two classes or more", has, "Check what `data.source` takes for the classes.")]

    def answers(self, signature: Signature) -> bool:
        return not signature.target.rank

    def answer(self, output: np.ndarray, signature: Signature) -> Answer | None:
        scores = probabilities(output)
        names = signature.class_names or tuple(str(i) for i in range(len(scores)))
        best = np.argsort(-scores, kind="stable")[:TOP]
        top = [{"label": names[i], "score": float(scores[i])} for i in best]
        cells = {"label": top[0]["label"], "score": top[0]["score"]}
        for rank, one in enumerate(top[1:], 2):
            cells |= {f"label_{rank}": one["label"], f"score_{rank}": one["score"]}
        following = ", ".join(f"{one['label']} {one['score']:.3f}" for one in top[1:3])
        shown = {"label": top[0]["label"], "score": top[0]["score"], "next best": following}
        return Answer({**top[0], "top": top}, cells, shown)


def probabilities(output: np.ndarray) -> np.ndarray:
    """Logits of one sample as the probability of each class; a single one is that of the second of two classes."""
    logits = np.array([0.0, output.item()]) if output.size == 1 else output
    scores: np.ndarray = np.exp(log_softmax(logits))
    return scores


@tasks("image_classification")
class ImageClassification(Classifies):
    """One class per image."""

    def check(self, signature: Signature, output: TensorType) -> list[DlrunError]:
        return [*needs_images(self, signature), *super().check(signature, output)]


@tasks("classification")
class Classification(Classifies):
    """One class per sample of any shape."""

    file = "samples.npy"


@tasks("tabular_classification")
class TabularClassification(Classifies):
    """One class per row of a table."""

    file = "rows.csv"

    def check(self, signature: Signature, output: TensorType) -> list[DlrunError]:
        return [*needs_rows(self, signature, "classification"), *super().check(signature, output)]
