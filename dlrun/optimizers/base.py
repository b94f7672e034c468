"""What an optimizer is: fields, slots and a numpy reference of one update."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Gt, Le, Lt

from dlrun.described import described
from dlrun.registry import Registry

Shape = tuple[int, ...]
Slots = dict[str, np.ndarray]
Fraction = Annotated[float, Ge(0), Lt(1)]
NotNegative = Annotated[float, Ge(0)]
Positive = Annotated[float, Gt(0)]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Weights that are updated differently from the rest.

    Args:
        match: Pattern of canonical names, e.g. `*.bias` or `stem.*`; the first group that matches counts.
        learning_rate_multiplier: Factor of the learning rate.
        weight_decay: Weight decay; the optimizer's own when left out.
    """

    match: str
    learning_rate_multiplier: NotNegative = 1.0
    weight_decay: NotNegative | None = None


@described
class Optimizer:
    """An optimizer's description; registered with ``@optimizers("name")``.

    Args:
        learning_rate: Size of an update; the schedule multiplies it.
        weight_decay: How strongly weights are drawn to zero.
        decay_kernels_only: Whether weight decay spares weights of fewer than two axes: biases and normalisation.
        groups: Weights with a learning rate and weight decay of their own, by pattern; the first match counts.
        layer_decay: Factor of the learning rate from each block of the model to the one before it, or none.
    """

    kind: ClassVar[str] = ""
    examples: ClassVar[tuple[dict[str, Any], ...]] = ()
    """Fields that tests try beside the defaults."""

    learning_rate: Positive
    weight_decay: NotNegative = 0.0
    decay_kernels_only: bool = False
    groups: tuple[Group, ...] = ()
    layer_decay: Annotated[float, Gt(0), Le(1)] | None = None

    def slots(self, shape: Shape) -> dict[str, Shape]:
        """The arrays kept beside a weight of this canonical shape: their names and shapes."""
        return {}

    def start(self, slot: str) -> float:
        """The number that a slot is filled with at first."""
        return 0.0

    def new_slots(self, shape: Shape) -> Slots:
        """The slots of a weight before the first update."""
        return {slot: np.full(size, self.start(slot)) for slot, size in self.slots(shape).items()}

    def update(self, w: np.ndarray, g: np.ndarray, slots: Slots, t: int, rate: float) -> np.ndarray:
        """The weight after update ``t`` at learning rate ``rate``; changes ``slots``: the reference."""
        raise NotImplementedError


optimizers: Registry[Optimizer] = Registry("optimizer")
