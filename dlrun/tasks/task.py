"""Tasks: what kind of answer the model gives."""

from __future__ import annotations

from typing import ClassVar

from dlrun.described import described
from dlrun.registry import Registry


@described
class Task:
    """A task's description; registered with ``@tasks("name")``."""

    kind: ClassVar[str] = ""
    default_loss: ClassVar[str] = ""
    default_metrics: ClassVar[tuple[str, ...]] = ()
    classifies: ClassVar[bool] = False
    """Whether the output is one logit per class."""


tasks: Registry[Task] = Registry("task")


@tasks("image_classification")
class ImageClassification(Task):
    """One class per image."""

    default_loss = "softmax_cross_entropy"
    default_metrics = ("accuracy",)
    classifies = True


@tasks("classification")
class Classification(Task):
    """One class per sample of any shape."""

    default_loss = "softmax_cross_entropy"
    default_metrics = ("accuracy",)
    classifies = True


@tasks("regression")
class Regression(Task):
    """Numbers per sample."""

    default_loss = "mse"
