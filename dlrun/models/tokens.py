"""What the architectures that read token ids share."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Ge, Gt

from dlrun.described import described
from dlrun.errors import DlrunError
from dlrun.graph.architecture import Model
from dlrun.graph.tensor import TensorType
from dlrun.models.classifier import require_input

Positive = Annotated[int, Gt(0)]


@described
class Tokens(Model):
    """An architecture that reads token ids.

    Args:
        vocabulary: Number of ids; the data's when left out.
        padding: Id that fills up short texts, or none: then every step counts.
    """

    vocabulary: Positive | None = None
    padding: Annotated[int, Ge(0)] | None = 0

    def ids(self, sub: Any, x: str) -> tuple[TensorType, int]:
        """Type of the ids, and how many there can be.

        Raises:
            DlrunError: ``wrong-input`` and ``vocabulary-missing``.
        """
        found = require_input(self.kind, sub, x, ("length",), "int")
        if self.vocabulary is None:
            raise DlrunError(
                "vocabulary-missing",
                f"`{self.kind}` needs `vocabulary`; the data does not tell how many token ids there are.",
                path=("vocabulary",),
                hint="Write it out: the largest id plus one.",
            )
        return found, self.vocabulary

    def mask(self, sub: Any, x: str) -> tuple[str, ...]:
        """The mask of the steps that are not padding, as further inputs of a layer: one name or none."""
        return () if self.padding is None else (sub.add("padding_mask", x, name="mask", padding=self.padding),)
