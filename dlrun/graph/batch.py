"""How small a training batch may be."""

from __future__ import annotations

from dataclasses import dataclass

from dlrun.errors import DlrunError
from dlrun.graph.graph import Graph


@dataclass(frozen=True)
class SmallestBatch:
    """What a model asks of the size of a training batch.

    Args:
        samples: As many are needed at least.
        layer: Name of the layer that needs them.
        parts: Parts into which a batch is split.
    """

    samples: int = 1
    layer: str = ""
    parts: int = 1

    def check(self, samples: int) -> None:
        """Refuse a batch of this size.

        Raises:
            DlrunError: ``batch-too-small``.
        """
        if samples < self.samples:
            split = f" in {self.parts} parts" if self.parts > 1 else ""
            fewer = ", or fewer `train.micro_batches`" if self.parts > 1 else ""
            raise DlrunError(
                "batch-too-small",
                f"a batch of `{samples}`{split} leaves `{self.layer}` one value per channel in training; "
                f"it needs at least {self.samples} samples.",
                path=("data", "batch_size"),
                hint=f"Choose a batch size that leaves as many for an epoch's last batch{fewer}.",
            )


def smallest_batch(graph: Graph, parts: int) -> SmallestBatch:
    """The smallest batch that a model can be trained on.

    Args:
        graph: The model.
        parts: Parts into which a batch is split, as equal as can be; each must be large enough.
    """
    found = SmallestBatch()
    for node in graph.nodes:
        needed = node.layer.smallest_batch(*node.input_types)
        if needed > 1 and needed * parts > found.samples:  # where one is enough, there are no more parts than samples
            found = SmallestBatch(needed * parts, node.name, parts)
    return found
