"""What a metric must provide."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np

from dlrun.described import described
from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType
from dlrun.registry import Registry


class Accumulator:
    """Sums over batches, in float64 or integers."""

    def add(self, output: np.ndarray, target: np.ndarray) -> None:
        """Count one batch. Shapes: output (N, C) logits, target (N,) class ids."""
        raise NotImplementedError

    def result(self) -> dict[str, Any]:
        """JSON-ready values by name, e.g. ``{"accuracy": 0.98}``."""
        raise NotImplementedError


@described
class Metric:
    """A metric's description; registered with ``@metrics("name")``."""

    kind: ClassVar[str] = ""
    better: ClassVar[Literal["higher", "lower"]] = "higher"
    undefined: ClassVar[str] = ""
    """When its value is None, if it ever is."""

    def names(self) -> tuple[str, ...]:
        """Keys of the scalars it reports, the main one first."""
        return (self.kind,)

    def check(self, classes: int | None) -> None:
        """Raise DlrunError unless the metric makes sense for this many classes."""
        if classes is None:
            raise DlrunError("metric-needs-classes", f"`{self.kind}` needs data with classes.", path=("metrics",))

    def check_output(self, output: TensorType, target: TensorType, classes: int | None) -> None:
        """Raise DlrunError, ``metric-output``, unless the model's answer is what the metric reads.

        Args:
            output: Type of the answer.
            target: Type of the labels.
            classes: How many the data has, or None.
        """
        single = classes in (None, 2) and output.shape in (target.shape, (*target.shape, 1))
        if not single and output.shape != (*target.shape, classes):
            wanted = TensorType((*target.shape, classes or 1))
            raise self.misfit(f"reads a logit for each class, `{wanted}`", f"`{output}`")

    def misfit(self, does: str, output: str) -> DlrunError:
        """The mistake that the model's output is none for this metric."""
        return DlrunError(
            "metric-output",
            f"`{self.kind}` {does}, but the model's output is {output}.",
            path=("metrics",),
            hint="Write `metrics: []`; the loss is reported all the same.",
        )

    def start(self, classes: int | None) -> Accumulator:
        """A fresh accumulator."""
        raise NotImplementedError


metrics: Registry[Metric] = Registry("metric", home="dlrun.metrics")
