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
    """None where empty: the recipe says it, or `train.phases` do."""
    default_metrics: ClassVar[tuple[str, ...]] = ()
    classifies: ClassVar[bool] = False
    """Whether the output is one logit per class."""
    pictures: ClassVar[bool] = False
    """Whether the output is a picture, of which the run keeps some after each epoch."""


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


@tasks("image_generation")
class ImageGeneration(Task):
    """Images like those of the data; the model's answer is an image between -1 and 1, and no label is read."""

    pictures = True


@tasks("regression")
class Regression(Task):
    """Numbers per sample."""

    default_loss = "mse"
