"""What flows along an edge of the graph."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TensorType:
    """The type of one tensor, per sample: the batch axis is implied and comes first.

    Args:
        shape: Axis lengths without the batch, channels last, e.g. ``(28, 28, 1)``.
        dtype: ``float`` (the recipe's precision) or ``int`` (token ids, class ids).
    """

    shape: tuple[int, ...]
    dtype: Literal["float", "int"] = "float"

    @property
    def rank(self) -> int:
        """Number of axes, batch not counted."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements per sample."""
        return math.prod(self.shape)

    def __str__(self) -> str:
        return "(" + ", ".join(["N", *map(str, self.shape)]) + ")"
