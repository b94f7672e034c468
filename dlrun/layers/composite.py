"""Layers said with other layers: expanded into the graph, never lowered."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Gt

from dlrun.errors import DlrunError
from dlrun.graph.layer import Composite, Example, Layer, Layers, layers
from dlrun.graph.tensor import TensorType
from dlrun.layers.linear import Dense
from dlrun.layers.norm import LayerNorm
from dlrun.layers.piecewise import Identity


def _part(cls: type[Layer], **fields: Any) -> Layer:
    return cls(**fields)


def _some(kind: str, given: Layers, field: str = "layers") -> Layers:
    if not given:
        raise DlrunError("empty-layers", f"`{kind}` needs at least one layer in `{field}`.", path=(field,))
    return given


@layers("residual")
class Residual(Composite):
    """A branch added to its own input.

    y = a(f(x) + g(x)), with f the layers, g the shortcut (the identity when left out) and a the activation.

    Args:
        layers: f, applied one after another.
        shortcut: g, for a branch that changes the shape.
        activation: Element-wise layer applied to the sum, or none.

    Shapes: (N, *) -> the shape of f(x).
    Weights: those of its parts, named ``<name>.<part>.<weight>`` and ``<name>.shortcut.<part>.<weight>``.
    Errors: shape-mismatch, empty-layers, unknown-activation.
    Differs: nothing.
    Source: He et al. 2015.
    """

    blind = True
    layers: Layers
    shortcut: Layers | None = None
    activation: str | None = None

    examples = (
        Example({"layers": (_part(LayerNorm), _part(Dense, units=4, activation="tanh"))}, (TensorType((4,)),)),
        Example(
            {
                "layers": (_part(Dense, units=3),),
                "shortcut": (_part(Dense, units=3, bias=False),),
                "activation": "relu",
            },
            (TensorType((5,)),),
        ),
        Example({"layers": ()}, (TensorType((5,)),), raises="empty-layers"),
        Example({"layers": (_part(Dense, units=3),)}, (TensorType((5,)),), raises="shape-mismatch"),
        Example(
            {"layers": (_part(Dense, units=5),), "activation": "rellu"},
            (TensorType((5,)),),
            raises="unknown-activation",
        ),
    )

    def expand(self, sub: Any, *inputs: str) -> str:
        (source,) = inputs
        branch = sub.chain(_some(self.kind, self.layers), source)
        with sub.scope("shortcut"):
            short = sub.chain(self.shortcut or (), source, "shortcut")
        total: str = sub.add("add", branch, short)
        return sub.activate(total, self.activation) if self.activation else total


@layers("sequence")
class Sequence(Composite):
    """Layers one after another under one name; a branch of several layers, or a part to freeze.

    y = f_n(… f_2(f_1(x))), with f_i the layers.

    Args:
        layers: f_1 to f_n.

    Shapes: (N, *) -> the shape after the last layer.
    Weights: those of its parts, named ``<name>.<part>.<weight>``.
    Errors: empty-layers.
    Differs: nothing.
    Source: none.
    """

    blind = True
    layers: Layers

    examples = (
        Example({"layers": (_part(Dense, units=4, activation="relu"), _part(LayerNorm))}, (TensorType((3,)),)),
        Example({"layers": ()}, (TensorType((5,)),), raises="empty-layers"),
    )

    def expand(self, sub: Any, *inputs: str) -> str:
        last: str = sub.chain(_some(self.kind, self.layers), inputs[0])
        return last


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

    blind = True
    times: Annotated[int, Gt(0)]
    layers: Layers

    examples = (
        Example({"times": 3, "layers": (_part(Dense, units=4, activation="tanh"),)}, (TensorType((3,)),)),
        Example({"times": 2, "layers": ()}, (TensorType((5,)),), raises="empty-layers"),
    )

    def expand(self, sub: Any, *inputs: str) -> str:
        (last,) = inputs
        for turn in range(1, self.times + 1):
            with sub.scope(f"{turn}"):
                last = sub.chain(_some(self.kind, self.layers), last)
        return last


@layers("parallel")
class Parallel(Composite):
    """Several branches that read the same input, put together again.

    y = m(f_1(x), f_2(x), …), with f_i the branches and m the merge.

    Args:
        branches: f_i, one layer each; `sequence` makes one of several, `identity` is the input itself.
        merge: m, a layer of that name.
        axis: Along which `concat` puts them, the batch not counted; -1 is the last, the channels.

    Shapes: (N, *) -> what the merge makes of the branches' shapes.
    Weights: those of its parts, named ``<name>.<branch>.<weight>``.
    Errors: too-few-branches, shape-mismatch, bad-axis, axis-without-concat.
    Differs: nothing.
    Source: Szegedy et al. 2014.
    """

    blind = True
    branches: Layers
    merge: Literal["concat", "add", "multiply", "average", "maximum", "minimum"] = "concat"
    axis: int = -1

    examples = (
        Example({"branches": (_part(Dense, units=4), _part(Dense, units=2, activation="relu"))}, (TensorType((3,)),)),
        Example(
            {
                "branches": (_part(Identity), _part(Sequence, layers=(_part(LayerNorm), _part(Dense, units=3)))),
                "merge": "add",
            },
            (TensorType((3,)),),
        ),
        Example({"branches": (_part(Identity), _part(LayerNorm)), "axis": 0}, (TensorType((2, 3)),)),
        Example({"branches": (_part(Dense, units=4),)}, (TensorType((3,)),), raises="too-few-branches"),
        Example(
            {"branches": (_part(Identity), _part(Dense, units=4)), "merge": "add"},
            (TensorType((3,)),),
            raises="shape-mismatch",
        ),
        Example({"branches": (_part(Identity), _part(Identity)), "axis": 1}, (TensorType((3,)),), raises="bad-axis"),
        Example(
            {"branches": (_part(Identity), _part(Identity)), "axis": 0, "merge": "add"},
            (TensorType((3,)),),
            raises="axis-without-concat",
        ),
    )

    def expand(self, sub: Any, *inputs: str) -> str:
        if len(self.branches) < 2:
            raise DlrunError(
                "too-few-branches",
                f"`parallel` needs at least two branches, got `{len(self.branches)}`.",
                path=("branches",),
                hint="Put the layers of one branch in a `sequence`; each item of `branches` is a branch of its own.",
            )
        if self.axis != -1 and self.merge != "concat":
            raise DlrunError(
                "axis-without-concat",
                f"`axis: {self.axis}` means nothing to `merge: {self.merge}`.",
                path=("axis",),
                hint="Leave it out.",
            )
        ends = sub.fork(self.branches, inputs[0], "branches")
        fields = {"axis": self.axis} if self.merge == "concat" else {}
        total: str = sub.add(self.merge, *ends, **fields)
        return total
