"""Tasks: what kind of answer the model gives. Each module of ``dlrun.tasks`` registers its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dlrun.data.source import Signature
from dlrun.described import described
from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType
from dlrun.registry import Registry

Cell = str | float | int | None


@dataclass(frozen=True)
class Answer:
    """What the model says of one sample, in words and numbers.

    Args:
        said: All of it, JSON-ready.
        cells: The same as one row of a table, by column.
        shown: The columns worth a look on the screen.
    """

    said: dict[str, Any]
    cells: dict[str, Cell]
    shown: dict[str, Cell]


@described
class Task:
    """All that a task adds to a recipe; registered with ``@tasks("name")``.

    A task has no fields: a recipe names it, and says everything else in its own sections.
    """

    kind: ClassVar[str] = ""
    default_loss: ClassVar[str] = ""
    """None where empty: the recipe says it, or `train.phases` do."""
    default_metrics: ClassVar[tuple[str, ...]] = ()
    file: ClassVar[str] = "image.png"
    """What a user has predicted, by way of example."""
    pictures: ClassVar[bool] = False
    """Whether the output is a picture, of which the run keeps some after each epoch."""

    def width(self, signature: Signature) -> int | None:
        """Units of a last layer that leaves them to the data; None where the data does not say."""
        return None

    def check_labels(self, signature: Signature) -> list[DlrunError]:
        """What of the labels does not fit the task, so that its loss and metrics do not fit them either.

        Args:
            signature: Of the samples as they are stored.
        """
        return []

    def check(self, signature: Signature, output: TensorType) -> list[DlrunError]:
        """What else of the data, and what of the model's answer does not fit the task.

        Args:
            signature: Of the samples as the model reads them.
            output: Type of the model's first output.
        """
        return []

    def answers(self, signature: Signature) -> bool:
        """Whether prediction has something to say of a sample like those of the training data."""
        return not self.pictures

    def answer(self, output: np.ndarray, signature: Signature) -> Answer | None:
        """What prediction says of one sample.

        Args:
            output: The model's first output for it, without the batch's axis.
            signature: Of the training data.

        Returns:
            None where the task has nothing to say of a file.
        """
        return None


tasks: Registry[Task] = Registry("task", home="dlrun.tasks")


def task_of(kind: str) -> Task:
    """The task that a recipe names.

    Raises:
        DlrunError: ``unknown-task``.
    """
    return tasks.get(kind, ("task",))()


def labels_width(signature: Signature) -> int | None:
    """Units that the labels ask for, whatever the task: one per class, or one per number; None for pictures."""
    if signature.classes is not None:
        return signature.classes
    return signature.target.size if signature.target.dtype == "float" and signature.target.rank < 2 else None


def unfit(task: Task, needs: str, has: object, hint: str) -> DlrunError:
    """The mistake that a task needs something else than the data or model has."""
    return DlrunError("wrong-task", f"`{task.kind}` needs {needs}, {has}.", path=("task",), hint=hint)


def needs_images(task: Task, signature: Signature) -> list[DlrunError]:
    """The mistake that samples are no images, if they are none."""
    if signature.input.rank == 3:
        return []
    needs, has = "images of shape (N, height, width, channels)", f"the data has {signature.input}"
    return [unfit(task, needs, has, "Use `task: classification` for samples of any shape.")]


def needs_rows(task: Task, signature: Signature, other: str) -> list[DlrunError]:
    """The mistake that samples are no rows of a table, if they are none."""
    if signature.input.rank == 1:
        return []
    return [unfit(task, "rows of a table, (N, columns)", f"the data has {signature.input}", f"Use `task: {other}`.")]
