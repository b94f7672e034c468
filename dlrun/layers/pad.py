"""Cells added around a tensor, or cut off it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt

from dlrun.errors import DlrunError
from dlrun.graph.layer import Composite, Example, Layer, layers
from dlrun.graph.tensor import TensorType

Cells = Annotated[int, Ge(0)]
Amount = Cells | tuple[tuple[Cells, Cells], ...]
"""One number for both sides of every axis but the last, or (before, after) for the first axes."""


def around(kind: str, x: TensorType, amount: Amount) -> tuple[tuple[int, int], ...]:
    """(before, after) for each axis of ``x``.

    Raises:
        DlrunError: ``wrong-rank`` when there are more pairs than axes, or one number and no axis but the last.
    """
    if isinstance(amount, int):
        if x.rank < 2:
            raise DlrunError(
                "wrong-rank",
                f"`{kind}` by `{amount}` needs positions beside channels, got {x}.",
                path=("amount",),
                hint=f"Write (before, after) for the one axis: `amount: [[{amount}, {amount}]]`.",
            )
        return ((amount, amount),) * (x.rank - 1) + ((0, 0),)
    if len(amount) > x.rank:
        raise DlrunError(
            "wrong-rank",
            f"`{kind}` has {len(amount)} pairs in `{[list(a) for a in amount]}`, but {x} has {x.rank} axes.",
            path=("amount",),
            hint="Write one (before, after) for each axis, from the first on; the batch is not counted.",
        )
    return (*((a[0], a[1]) for a in amount), *((0, 0),) * (x.rank - len(amount)))


@layers("pad")
class Pad(Layer):
    """Cells added before and after.

    y[i] = x[i - before] where there is such a cell; elsewhere the value (`constant`), the cell mirrored at the
    first or last one, which is not repeated (`reflect`), or the first or last cell itself (`edge`).

    Args:
        amount: Cells on both sides of every axis but the last; or [before, after] for each of the first axes.
        mode: What stands in them.
        value: The constant.

    Shapes: (N, n, *) -> (N, before + n + after, *).
    Weights: none.
    Errors: wrong-rank, pad-too-large, value-not-whole.
    Differs: torch counts pairs from the last axis; its `replicate` is `edge`, which TensorFlow lacks.
    Source: none.
    """

    known_as = ("zero_padding1d", "zero_padding2d", "zero_padding3d", "zero_pad2d")

    amount: Amount
    mode: Literal["constant", "reflect", "edge"] = "constant"
    value: float = 0.0

    examples = (
        Example({"amount": 1}, (TensorType((3, 4, 2)),)),
        Example({"amount": ((0, 1), (2, 0)), "value": -1.5}, (TensorType((3, 4, 2)),)),
        Example({"amount": ((0, 0), (0, 0), (1, 2))}, (TensorType((3, 4, 2)),)),
        Example({"amount": 2, "mode": "reflect"}, (TensorType((3, 4, 2)),)),
        Example({"amount": ((2, 1),), "mode": "reflect"}, (TensorType((3, 4)),)),
        Example({"amount": 3, "mode": "edge"}, (TensorType((2, 4, 2)),)),
        Example({"amount": ((2, 1),), "mode": "edge"}, (TensorType((4,)),)),
        Example({"amount": 1, "mode": "edge"}, (TensorType((2, 3, 2, 2)),)),
        Example({"amount": 1, "mode": "reflect"}, (TensorType((2, 3, 2, 2)),)),
        Example({"amount": 1}, (TensorType((4,)),), raises="wrong-rank"),
        Example({"amount": ((1, 1), (0, 0))}, (TensorType((4,)),), raises="wrong-rank"),
        Example({"amount": 3, "mode": "reflect"}, (TensorType((3, 4, 2)),), raises="pad-too-large"),
        Example({"amount": 1, "value": 0.5}, (TensorType((3, 4), "int"),), raises="value-not-whole"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        added = around(self.kind, x, self.amount)
        for axis, (length, pair) in enumerate(zip(x.shape, added, strict=True)):
            if self.mode == "reflect" and max(pair) >= length:
                raise DlrunError(
                    "pad-too-large",
                    f"`{max(pair)}` cells cannot be mirrored on axis {axis} of {x}, at most {length - 1}.",
                    path=("amount",),
                    hint="Pad less, or use `mode: edge`.",
                )
        if x.dtype == "int" and not float(self.value).is_integer():
            raise DlrunError(
                "value-not-whole", f"`{self.value:g}` cannot stand among whole numbers, in {x}.", path=("value",)
            )
        return TensorType(tuple(b + n + a for n, (b, a) in zip(x.shape, added, strict=True)), x.dtype)


@layers("crop")
class Crop(Composite):
    """Cells cut off before and after, or all but the middle.

    y[i] = x[i + before].

    Args:
        amount: Cells cut off both sides of every axis but the last; or [before, after] for each of the first axes.
        size: What is left of each axis but the last, instead of `amount`; of an odd rest more is cut off after.

    Shapes: (N, n, *) -> (N, n - before - after, *).
    Weights: none.
    Errors: wrong-rank, crop-too-large, amount-or-size.
    Differs: nothing.
    Source: none.
    """

    amount: Amount | None = None
    size: Annotated[int, Gt(0)] | tuple[Annotated[int, Gt(0)], ...] | None = None

    examples = (
        Example({"amount": 1}, (TensorType((4, 5, 2)),)),
        Example({"amount": ((2, 0),)}, (TensorType((4, 3)),)),
        Example({"size": 2}, (TensorType((5, 4, 2)),)),
        Example({"size": (1, 3)}, (TensorType((4, 5, 2)),)),
        Example({"size": (4, 5)}, (TensorType((4, 5, 2)),)),
        Example({"amount": 2}, (TensorType((4, 5, 2)),), raises="crop-too-large"),
        Example({"size": 6}, (TensorType((4, 5, 2)),), raises="crop-too-large"),
        Example({"size": (2, 2)}, (TensorType((4, 2)),), raises="wrong-rank"),
        Example({"amount": 1}, (TensorType((4,)),), raises="wrong-rank"),
        Example({}, (TensorType((4, 5, 2)),), raises="amount-or-size"),
        Example({"amount": 1, "size": 2}, (TensorType((4, 5, 2)),), raises="amount-or-size"),
    )

    def expand(self, sub: Any, *inputs: str) -> str:
        (last,) = inputs
        x: TensorType = sub.type(last)
        removed = self._removed(x)
        kept = [axis for axis, pair in enumerate(removed) if any(pair)] or [0]
        for axis in kept:
            before, after = removed[axis]
            last = sub.add("slice", last, axis=axis, start=before, stop=x.shape[axis] - after)
        return last

    def _removed(self, x: TensorType) -> tuple[tuple[int, int], ...]:
        if (self.amount is None) == (self.size is None):
            raise DlrunError(
                "amount-or-size",
                f"`crop` needs `amount` or `size`, got {'neither' if self.size is None else 'both'}.",
                hint="`amount` is what is cut off, `size` what is left.",
            )
        if self.amount is not None:
            removed = around(self.kind, x, self.amount)
        else:
            assert self.size is not None
            size = (self.size,) * (x.rank - 1) if isinstance(self.size, int) else self.size
            if len(size) != x.rank - 1 or not size:
                raise DlrunError(
                    "wrong-rank",
                    f"`size: {list(size)}` has {len(size)} numbers, but {x} has {x.rank - 1} axes before the last.",
                    path=("size",),
                )
            rest = [n - s for n, s in zip(x.shape, size, strict=False)]
            removed = (*((r // 2, r - r // 2) for r in rest), (0, 0))
        for axis, (length, (before, after)) in enumerate(zip(x.shape, removed, strict=True)):
            if before + after >= length or before + after < 0:
                raise DlrunError(
                    "crop-too-large",
                    f"axis {axis} of {x} has {length} cells; `{before + after}` cannot be cut off."
                    if before + after >= 0
                    else f"axis {axis} of {x} has {length} cells; `{length - before - after}` cannot be left.",
                    path=("size" if self.amount is None else "amount",),
                )
        return removed
