"""A layer with mistakes in its fields: what is still known of its place in the graph."""

from __future__ import annotations

from typing import Any, ClassVar

from dlrun.described import described
from dlrun.graph.layer import Composite, Layer


@described
class Draft(Layer):
    """Stands in the graph for a layer whose description is wrong; what it computes is not known.

    Args:
        activation: The layer's own, where it has one that can be read.
        unknown: Names of the fields of every layer that cannot be read, ``activation`` among them.
        anonymous: Whether nothing at all can be read, not even a name.
    """

    of: ClassVar[type[Layer] | None] = None
    """The class of the kind that was written, or None if there is no such kind."""

    activation: str | None = None
    unknown: tuple[str, ...] = ()
    anonymous: bool = False

    @property
    def nested(self) -> bool:
        """Whether it may hold layers, which can be read and read others."""
        return self.of is None or issubclass(self.of, Composite)


def draft(kind: str, cls: type[Layer] | None, **known: Any) -> Draft:
    """A draft of a layer.

    Args:
        kind: What was written.
        cls: The class of that kind, or None if there is none.
        known: Fields of ``Draft``.
    """
    arity = (0, None) if cls is None else cls.arity
    made: type[Draft] = type("Draft", (Draft,), {"kind": kind, "arity": arity, "of": cls})
    return made(**known)
