"""Windows that slide over a grid: the arithmetic that convolution and pooling share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt

from dlrun.errors import DlrunError
from dlrun.graph.layer import require_float, require_rank
from dlrun.graph.tensor import TensorType

Positive = Annotated[int, Gt(0)]
Cells = Annotated[int, Ge(0)]
"""A number of cells, possibly none."""

Size2 = Positive | tuple[Positive, Positive]
Size3 = Positive | tuple[Positive, Positive, Positive]

Around = tuple[Cells, Cells]
"""Cells added (before, after) on one axis."""
Padding1 = Literal["valid", "same"] | Cells | tuple[Around]
Padding2 = Literal["valid", "same"] | Cells | tuple[Cells, Cells] | tuple[Around, Around]
Padding3 = Literal["valid", "same"] | Cells | tuple[Cells, Cells, Cells] | tuple[Around, Around, Around]
Padding = str | int | tuple[int, ...] | tuple[tuple[int, int], ...]
"""Any of them, as arithmetic reads it."""

Pads = tuple[tuple[int, int], ...]
"""Cells added (before, after) on each spatial axis."""

AXES: dict[int, tuple[str, ...]] = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
"""Names of the spatial axes, by how many there are."""


def require_grid(kind: str, x: TensorType, rank: int) -> None:
    """Raise unless ``x`` has numbers for the channels of each cell of a grid with ``rank`` axes."""
    require_float(kind, x)
    require_rank(kind, x, rank + 1, ", ".join((*AXES[rank], "channels")))


def per_axis(value: int | Sequence[int], rank: int) -> tuple[int, ...]:
    """An int for every spatial axis, or one per axis."""
    return (value,) * rank if isinstance(value, int) else tuple(int(v) for v in value)


def pads(
    spatial: Sequence[int], size: Sequence[int], stride: Sequence[int], dilation: Sequence[int], padding: Padding
) -> Pads:
    """Cells added before and after each spatial axis.

    ``same`` keeps ``ceil(n / stride)`` positions and puts the odd cell after, as TensorFlow does;
    ``causal`` adds everything before, so that no window reads beyond its own position.
    """
    if isinstance(padding, int):
        return ((padding, padding),) * len(size)
    if not isinstance(padding, str):
        return tuple((p, p) if isinstance(p, int) else (p[0], p[1]) for p in padding)
    result = []
    for n, k, s, d in zip(spatial, size, stride, dilation, strict=True):
        total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0) if padding == "same" else 0
        result.append(((k - 1) * d, 0) if padding == "causal" else (total // 2, total - total // 2))
    return tuple(result)


@dataclass(frozen=True)
class Window:
    """A window and how it moves; every field but the last two has one number per spatial axis.

    Args:
        size: Taps.
        stride: Step between windows, in cells.
        dilation: Distance between taps, in cells.
        padding: As a layer's field says it.
        ceil: Whether a last window may hang over the end.
    """

    size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: Padding
    ceil: bool = False

    @property
    def span(self) -> tuple[int, ...]:
        """Cells from the first tap to the last, both counted."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.size, self.dilation, strict=True))

    def pads(self, spatial: Sequence[int]) -> Pads:
        """Cells added before and after each axis."""
        return pads(spatial, self.size, self.stride, self.dilation, self.padding)

    def same(self, spatial: Sequence[int]) -> bool:
        """Whether the padding adds what ``same`` would, however it is written."""
        return self.pads(spatial) == pads(spatial, self.size, self.stride, self.dilation, "same")

    def positions(self, spatial: Sequence[int]) -> tuple[int, ...]:
        """How many windows there are along each axis; below 1 where none fits."""
        found = []
        for n, span, s, (before, after) in zip(spatial, self.span, self.stride, self.pads(spatial), strict=True):
            free = n + before + after - span
            count = (-(-free // s) if self.ceil else free // s) + 1
            if self.ceil and (count - 1) * s >= n + before:
                count -= 1  # a window that starts behind the last cell would be empty
            found.append(count if free >= 0 else 0)
        return tuple(found)

    def overhang(self, spatial: Sequence[int]) -> tuple[int, ...]:
        """Cells by which the last window of each axis reaches beyond the padding; only with ``ceil``."""
        found = []
        for n, span, s, count, (before, after) in zip(
            spatial, self.span, self.stride, self.positions(spatial), self.pads(spatial), strict=True
        ):
            found.append(max((count - 1) * s + span - (n + before + after), 0))
        return tuple(found)

    def covered(self, spatial: Sequence[int]) -> Pads:
        """The padding with the overhang after it: with these cells every window is complete."""
        return tuple(
            (before, after + more)
            for (before, after), more in zip(self.pads(spatial), self.overhang(spatial), strict=True)
        )

    def check(self, kind: str, x: TensorType) -> tuple[int, ...]:
        """How many windows fit along each axis of a layer's input.

        Raises:
            DlrunError: ``window-too-large`` when none does.
        """
        spatial = x.shape[: len(self.size)]
        found = self.positions(spatial)
        for n, span, count, axis in zip(spatial, self.span, found, AXES[len(spatial)], strict=True):
            if count < 1:
                raise DlrunError(
                    "window-too-large",
                    f"`{kind}` window spans {span} cells but the input's {axis} is {n} (input {x}).",
                    hint="Use a smaller window, `padding: same`, or fewer pooling layers before it.",
                )
        return found
