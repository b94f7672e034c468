"""The base of every loss: checks, and its meaning as two sums; no framework.

A loss is a weighted mean: ``sum(weight * value) / sum(weight)``. Backends compute the two sums,
so that a batch split into micro-batches has the same loss and gradient as the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dlrun.described import described
from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType
from dlrun.registry import Registry

Sum = float | np.ndarray
"""A sum over a batch; one for each term where a loss has several."""


@dataclass(frozen=True)
class Example:
    """A case of a loss for documentation and the conformance suite, which draws the outputs itself.

    Args:
        fields: The loss' fields as a recipe writes them.
        output: Type of the model's output, or of several by name.
        target: The labels of a small batch, as data gives them: integers or numbers, (N, *).
        classes: Number of classes of the data, or None.
        raises: Error code expected from the check, if the case is a mistake.
        largest: The largest output whose loss is right in float32, where that is below 100.
    """

    fields: dict[str, Any]
    output: TensorType | dict[str, TensorType]
    target: Any
    classes: int | None = None
    raises: str | None = None
    largest: float = 100.0

    @property
    def labels(self) -> np.ndarray:
        """The labels as data gives them: int64 or float64."""
        y = np.asarray(self.target)
        return y.astype(np.int64 if y.dtype.kind in "iu" else np.float64)

    @property
    def outputs(self) -> dict[str, TensorType]:
        """Types of the model's outputs by name."""
        return self.output if isinstance(self.output, dict) else {"output": self.output}


def label_type(target: np.ndarray) -> TensorType:
    """The type of a batch of labels."""
    return TensorType(target.shape[1:], "int" if target.dtype.kind in "iu" else "float")


@described
class Loss:
    """A loss's description; registered with ``@losses("name")``."""

    kind: ClassVar[str] = ""
    output_is: ClassVar[str] = ""
    """What the output stands for, where labels are not to be compared with it."""
    examples: ClassVar[tuple[Example, ...]] = ()

    def check(self, output: TensorType, target: TensorType, classes: int | None) -> None:
        """Raise DlrunError unless the model's output fits the labels."""
        raise NotImplementedError

    def check_outputs(self, outputs: Mapping[str, TensorType], target: TensorType, classes: int | None) -> None:
        """Raise DlrunError unless the model's outputs, its answer first, fit the labels and all are read."""
        first, *others = outputs
        if others:
            raise unread(others, f"`{self.kind}` reads `{first}` only")
        require_numbers(self.kind, outputs[first])
        self.check(outputs[first], target, classes)

    def check_labels(self, outputs: Mapping[str, TensorType], target: np.ndarray) -> None:
        """Raise DlrunError, ``label-out-of-range``, where a label (N, *) is no id of the output that it reads.

        Frameworks do not agree on what happens then: an error, a loss of 0, or what stood elsewhere in memory.
        """

    def answering(self, answer: str) -> Loss:
        """What evaluation computes of this loss: the part that reads the model's answer, its first output."""
        return self

    @property
    def ignored(self) -> int | None:
        """The class id of places that the loss does not count, or None."""
        found: int | None = getattr(self, "ignore_index", None)
        return found

    def sums(self, output: np.ndarray, target: np.ndarray) -> tuple[Sum, Sum]:
        """(weighted sum of values, sum of weights) in float64: the reference."""
        raise NotImplementedError

    def value(self, total: Sum, weight: Sum) -> float:
        """The loss that two sums mean; 0 when no weight is left."""
        return float(total) / float(weight) if weight else 0.0

    def reference(self, output: np.ndarray, target: np.ndarray) -> float:
        """The loss of a batch."""
        return self.value(*self.sums(output, target))


losses: Registry[Loss] = Registry("loss", home="dlrun.losses")


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities over the last axis, float64."""
    z = np.asarray(logits, np.float64)
    z = z - z.max(axis=-1, keepdims=True)
    result: np.ndarray = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))
    return result


def softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + exp x)."""
    result: np.ndarray = np.logaddexp(0.0, x)
    return result


def unread(names: list[str], why: str) -> DlrunError:
    """The mistake of outputs that nothing reads."""
    listed = ", ".join(f"`{n}`" for n in names)
    return DlrunError(
        "unread-output",
        f"{listed} in `model.outputs` would train nothing: {why}.",
        path=("loss",),
        hint="Give each output a term of `weighted_sum`, or take it out of `model.outputs`.",
    )


def are_ids(target: np.ndarray, classes: int) -> bool:
    """Whether labels are class ids as they stand, or no ids at all."""
    return target.dtype.kind not in "iu" or not target.size or (target.min() >= 0 and target.max() < classes)


def require_ids(kind: str, ids: np.ndarray, classes: int) -> None:
    """Raise ``label-out-of-range`` unless all are at least 0 and below ``classes``."""
    if not are_ids(ids, classes):
        low, high = int(ids.min()), int(ids.max())
        raise DlrunError(
            "label-out-of-range",
            f"`{kind}` reads the label `{low if low < 0 else high}`, but the model's output has the ids 0 to "
            f"{classes - 1}.",
            path=("data", "source"),
            hint="Correct the labels, or give the model's last axis an entry for each id.",
        )


def require_numbers(kind: str, output: TensorType) -> None:
    """Raise ``output-dtype`` unless the output is numbers."""
    if output.dtype != "float":
        raise DlrunError(
            "output-dtype",
            f"`{kind}` needs numbers, but the model's output {output} is `{output.dtype}`.",
            path=("model",),
            hint="End the model with a layer that computes numbers, such as `dense`.",
        )
