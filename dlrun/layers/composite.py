"""Layers said with other layers: expanded into the graph, never lowered."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Gt

from dlrun.errors import DlrunError
from dlrun.graph.layer import Composite, Layers, layers


@layers("residual")
class Residual(Composite):
    """A branch added to its own input.

    y = f(x) + g(x), with f the layers and g the shortcut (the identity when left out).

    Args:
        layers: f, applied one after another.
        shortcut: g, for a branch that changes the shape.
        activation: Element-wise layer applied to the sum, or none.

    Shapes: (N, *) -> the shape of f(x).
    Weights: those of its parts, named ``<name>.<part>.<weight>``.
    Errors: shape-mismatch, empty-layers, unknown-activation.
    Differs: nothing.
    Source: He et al. 2015.
    """

    layers: Layers
    shortcut: Layers | None = None
    activation: str | None = None

    def expand(self, sub: Any, *inputs: str) -> str:
        if not self.layers:
            raise DlrunError("empty-layers", "`residual` needs at least one layer.", path=("layers",))
        (source,) = inputs
        branch = sub.chain(self.layers, source)
        with sub.scope("shortcut"):
            short = sub.chain(self.shortcut or (), source, "shortcut")
        total: str = sub.add("add", branch, short)
        return sub.activate(total, self.activation) if self.activation else total


@layers("repeat")
class Repeat(Composite):
    """The same layers several times in a row, each time with weights of their own.

    y = f_n(… f_2(f_1(x))), with n the number of times.

    Args:
        times: n.
        layers: One round, applied in order.

    Shapes: (N, *) -> the shape after the last round.
    Weights: those of its parts, named ``<name>.<round>.<part>.<weight>``, rounds from 1.
    Errors: empty-layers.
    Differs: nothing.
    Source: none.
    """

    times: Annotated[int, Gt(0)]
    layers: Layers

    def expand(self, sub: Any, *inputs: str) -> str:
        if not self.layers:
            raise DlrunError("empty-layers", "`repeat` needs at least one layer.", path=("layers",))
        (last,) = inputs
        for turn in range(1, self.times + 1):
            with sub.scope(f"{turn}"):
                last = sub.chain(self.layers, last)
        return last
