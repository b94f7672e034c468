"""What an initializer is, and how a weight gets its first value."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from dlrun.described import described
from dlrun.errors import DlrunError
from dlrun.randomness import stream
from dlrun.registry import Registry

Shape = tuple[int, ...]
Fans = tuple[int, int]
"""(fan_in, fan_out): how many values flow into and out of one element."""


@described
class Initializer:
    """An initializer's description; registered with ``@initializers("name")``."""

    kind: ClassVar[str] = ""
    of_kernel: ClassVar[bool] = False
    """Whether a bias reads the fans of its layer's kernel instead of its own."""

    def check(self, shape: Shape) -> None:
        """Refuse a shape that cannot be drawn.

        Raises:
            DlrunError: ``initializer-shape``.
        """

    def draw(self, g: np.random.Generator, shape: Shape, fans: Fans) -> np.ndarray:
        """Values of ``shape`` in float64, drawn from ``g``."""
        raise NotImplementedError


initializers: Registry[Initializer] = Registry("initializer")

Initial = str | Initializer
"""The type of a layer's field: a name, or an initializer with fields."""


def fans(shape: Shape) -> Fans:
    """(fan_in, fan_out) of a canonical weight shape."""
    if len(shape) < 2:
        size = shape[0] if shape else 1
        return size, size
    receptive = math.prod(shape[:-2])
    return shape[-2] * receptive, shape[-1] * receptive


def initializer_of(initial: Initial) -> Initializer:
    """The initializer that a field's value means.

    Raises:
        DlrunError: ``unknown-initializer``.
    """
    if not isinstance(initial, str):
        return initial
    values: dict[str, Any] = {}
    return initializers.get(initial)(**values)


def check_initializer(initial: Initial, field: str) -> None:
    """Raise ``unknown-initializer`` at ``field`` unless ``initial`` is one."""
    try:
        initializer_of(initial)
    except DlrunError as error:
        error.path = (field, *error.path)
        raise


def initialize(
    initial: Initial, shape: Shape, seed: int, weight: str, own: Fans | None = None, kernel: Fans | None = None
) -> np.ndarray:
    """The first value of a weight: float64, canonical layout.

    Args:
        initial: The initializer.
        shape: Canonical shape.
        seed: The recipe's.
        weight: Canonical name; it has a random stream of its own.
        own: Its fans where the shape does not tell them.
        kernel: Fans of the kernel beside it, for a bias.
    """
    made = initializer_of(initial)
    counted = own or fans(shape)
    if made.of_kernel and kernel is not None and len(shape) < 2:
        counted = kernel
    return np.ascontiguousarray(made.draw(stream(seed, "weight", weight), shape, counted), dtype=np.float64)
