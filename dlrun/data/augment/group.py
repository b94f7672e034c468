"""Augmentations done together or instead of one another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Gt

from dlrun.data.augment.values import Probability
from dlrun.data.augmentation import Augmentation, augmentations
from dlrun.data.draws import Draws
from dlrun.described import described
from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType

if TYPE_CHECKING:
    from dlrun.data.source import Signature


@described
class _Group(Augmentation):
    """What does others to some samples; they must keep the shape, for not all samples get them."""

    augment: tuple[Augmentation, ...]

    def __post_init__(self) -> None:
        if not self.augment:
            raise DlrunError("nothing-to-change", f"`{self.kind}.augment` is an empty list.", path=("augment",))

    def infer(self, x: TensorType) -> TensorType:
        for i, one in enumerate(self.augment):
            if one.mixes:
                raise DlrunError(
                    "mixes-samples",
                    f"`{one.kind}` mixes samples after all other augmentations and cannot stand in `{self.kind}`.",
                    path=("augment", i, one.kind),
                    hint=f"Write it in `data.augment` itself, with a `probability`: `{one.kind}` has that field.",
                )
            try:
                after = one.infer(x)
            except DlrunError as error:
                error.path = ("augment", i, one.kind, *error.path)
                raise
            if after != x:
                raise DlrunError(
                    "shape-mismatch",
                    f"`{one.kind}` makes {after} of {x}, but not every sample gets it: `{self.kind}` needs one shape.",
                    path=("augment", i, one.kind),
                    hint="Leave its `size` out, or write it in `data.augment` itself.",
                )
        return x

    def check(self, signature: Signature) -> None:
        for i, one in enumerate(self.augment):
            try:
                one.check(signature)
            except DlrunError as error:
                error.path = ("augment", i, one.kind, *error.path)
                raise

    def _done(self, number: int, x: np.ndarray, draws: Draws, top: float) -> np.ndarray:
        one = self.augment[number]
        return one.apply(x, draws.of(f"{number}.{one.kind}"), top)


@augmentations("random_apply")
class RandomApply(_Group):
    """Do several augmentations to some samples and none to the others.

    Args:
        augment: A list of augmentations, done in order.
        probability: How likely a sample gets them all.

    Shapes: (N, *) -> (N, *).
    Errors: nothing-to-change, mixes-samples, shape-mismatch; those of the augmentations in it.
    Differs: nothing from torchvision's RandomApply.
    Source: none.
    """

    probability: Probability = 0.5

    def apply(self, x: np.ndarray, draws: Draws, top: float) -> np.ndarray:
        rows = np.flatnonzero(draws.chance("chosen", self.probability))
        changed = x[rows]
        for number in range(len(self.augment)):
            changed = self._done(number, changed, draws[rows], top)
        out = x.copy()
        out[rows] = changed
        return out


@augmentations("random_choice")
class RandomChoice(_Group):
    """Do one of several augmentations to each sample.

    Args:
        augment: A list of augmentations, of which each sample gets one.
        weights: How often each is chosen, as parts of their sum, one for each; all equally when left out.

    Shapes: (N, *) -> (N, *).
    Errors: nothing-to-change, mixes-samples, shape-mismatch, wrong-shares; those of the augmentations in it.
    Differs: nothing from torchvision's RandomChoice.
    Source: none.
    """

    weights: tuple[Annotated[float, Gt(0)], ...] | None = None

    def infer(self, x: TensorType) -> TensorType:
        if self.weights is not None and len(self.weights) != len(self.augment):
            raise DlrunError(
                "wrong-shares",
                f"`{self.kind}.weights` has {len(self.weights)} numbers for {len(self.augment)} augmentations.",
                path=("weights",),
                hint=f"Write {len(self.augment)} numbers, or leave them out.",
            )
        return super().infer(x)

    def apply(self, x: np.ndarray, draws: Draws, top: float) -> np.ndarray:
        ends = np.cumsum(self.weights or (1.0,) * len(self.augment))
        chosen = np.searchsorted(ends, draws.uniform("choice")[:, 0] * ends[-1], side="right")
        out = x.copy()
        for number in range(len(self.augment)):
            rows = np.flatnonzero(np.minimum(chosen, len(ends) - 1) == number)
            if len(rows):
                out[rows] = self._done(number, x[rows], draws[rows], top)
        return out
