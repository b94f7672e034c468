"""What the architectures that end in one score per class share."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Gt

from dlrun.described import described
from dlrun.errors import DlrunError
from dlrun.graph.architecture import Model
from dlrun.graph.tensor import TensorType

Positive = Annotated[int, Gt(0)]


@described
class Classifier(Model):
    """An architecture whose answer is one logit per class.

    Args:
        classes: Logits; the data's number of classes when left out.
    """

    classes: Positive | None = None

    def class_count(self, classes: int | None) -> int:
        """The number of logits.

        Raises:
            DlrunError: ``classes-missing`` when neither the recipe nor the data says it.
        """
        found = classes if self.classes is None else self.classes
        if found is None:
            raise DlrunError(
                "classes-missing",
                f"`{self.kind}` needs `classes`; the data does not tell how many outputs there are.",
                path=("classes",),
                hint="Write it out, e.g. `classes: 10`.",
            )
        return found


def require_input(kind: str, sub: Any, x: str, axes: tuple[str, ...], dtype: str = "float") -> TensorType:
    """The type of the model's input.

    Args:
        kind: The architecture, for the message.
        sub: What the architecture expands through.
        x: Name of the input.
        axes: What the input's axes are, batch not counted.
        dtype: ``float``, or ``int`` for token ids.

    Raises:
        DlrunError: ``wrong-input`` when rank or number type differ.
    """
    found: TensorType = sub.type(x)
    if found.rank != len(axes) or found.dtype != dtype:
        what = "token ids" if dtype == "int" else "numbers"
        hint = "Choose an architecture for this kind of data, or change what `data.preprocess` makes of it."
        if dtype == "int" and found.dtype != dtype and found.rank == len(axes):
            hint = "If these numbers are ids, say so in the data: `source: {name: npz, dtype: int, …}`."
        raise DlrunError(
            "wrong-input",
            f"`{kind}` reads {what} of shape (N, {', '.join(axes)}), but the data has `{found}` of type {found.dtype}.",
            path=("name",),
            hint=hint,
        )
    return found


IMAGE = ("height", "width", "channels")
"""The axes of an image."""
