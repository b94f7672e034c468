"""Samples like those of the data."""

from __future__ import annotations

from dlrun.data.source import Signature
from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType
from dlrun.tasks.task import Task, needs_images, tasks, unfit


@tasks("image_generation")
class ImageGeneration(Task):
    """Images like those of the data; the model's answer is an image between -1 and 1, and no label is read."""

    pictures = True

    def check(self, signature: Signature, output: TensorType) -> list[DlrunError]:
        found = []
        if output.rank != 3 or output.shape[-1] not in (1, 3):
            needs, has = "an answer of shape (N, height, width, 1 or 3)", f"the model's is {output}"
            found.append(unfit(self, needs, has, "Name the image first in `model.outputs`."))
        return [*found, *needs_images(self, signature)]
