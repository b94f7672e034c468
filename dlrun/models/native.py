"""A model that is no graph: the user's own torch.nn.Module or keras.Model."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, ClassVar

from annotated_types import Gt

from dlrun.described import described
from dlrun.errors import DlrunError, Path
from dlrun.graph.architecture import Model, models
from dlrun.graph.graph import INPUT, Graph, Node
from dlrun.graph.layer import Layer
from dlrun.graph.tensor import TensorType

BACKENDS = ("torch", "tensorflow")
TARGET = "_target_"
"""The key that names a class or function; the others of its mapping are arguments."""
KEYS = frozenset((TARGET, "target", *BACKENDS))
"""Keys that only a native model has: they name it."""
NODE = "self"
"""Name of the node that answers; a weight that the model itself owns is called ``self.<name>``."""


@models("native")
class Native(Model):
    """A model of one's own: a torch.nn.Module or a keras.Model, trained as it stands.

    y = f(x), with f the object that the target makes: `{_target_: package.module.Name, argument: value}`.

    Args:
        target: What to call, with its arguments, on the recipe's backend; `model: {_target_: …}` is short for it.
        torch: The same where the backend is torch.
        tensorflow: The same where it is tensorflow.
        output: Shape of the answer per sample, channels last; a number per class or per label when left out.

    Shapes: torch gets images as (N, C, H, W), Keras as (N, H, W, C), both everything else as it is; -> (N, *output).
    Weights: named as in ``state_dict``, or by Keras' variable paths; their first values are the model's own, drawn
        from the recipe's seed.
    Errors: contradiction, unknown-target, target-failed, no-target, native-type, native-output.
    Differs: a model that is given for both backends has two sets of weights that cannot be exchanged.
    Source: none.
    """

    rest: ClassVar[str] = "target"
    """The field that keys of the short form belong to."""

    target: dict[str, Any] | None = None
    torch: dict[str, Any] | None = None
    tensorflow: dict[str, Any] | None = None
    output: tuple[Annotated[int, Gt(0)], ...] | None = None

    def __post_init__(self) -> None:
        if (self.target is None) == (self.torch is None and self.tensorflow is None):
            raise DlrunError(
                "contradiction",
                "a native model is given either once (`_target_`), or per backend (`torch`, `tensorflow`).",
                hint="Write `model: {_target_: package.module.Name}`, or `model: {torch: {_target_: …}}`.",
            )
        refused = [n for n in ("outputs", "initializers", "weights") if getattr(self, n)]
        if refused:
            raise DlrunError(
                "contradiction",
                f"`{refused[0]}` cannot stand beside a native model, whose layers are its own affair.",
                path=(refused[0],),
                hint="Say it in the model's own code.",
            )

    def place(self, backend: str) -> str:
        """The field that holds what a backend runs.

        Raises:
            DlrunError: ``no-target``.
        """
        if self.target is not None:
            return "target"
        if getattr(self, backend) is None:
            given = next(b for b in BACKENDS if getattr(self, b) is not None)
            raise DlrunError(
                "no-target",
                f"this model is given for `{given}` only, not for `{backend}`.",
                path=("model",),
                hint=f"Use `backend={given}`, or add `{backend}: {{_target_: …}}`.",
            )
        return backend


@described
class NativeLayer(Layer):
    """What stands in the graph of a native model.

    Args:
        target: What to call, with its arguments.
        place: Where it stands in the recipe.
        seed: Of its first weights.
        made: Native objects that were made to look at and wait to be used.
    """

    kind: ClassVar[str] = "native"

    target: dict[str, Any] = dataclasses.field(default_factory=dict)
    place: Path = ("model",)
    seed: int = 0
    made: list[Any] = dataclasses.field(default_factory=list)

    def infer(self, *inputs: TensorType) -> TensorType:
        raise AssertionError("the shape of a native model is told, not inferred")


def native_graph(model: Native, input: TensorType, target: TensorType, classes: int | None) -> Graph:
    """A graph of one node that stands for the whole model.

    Args:
        model: The description.
        input: Type of the model's input.
        target: Type of a label.
        classes: Classes of the data, or None.
    """
    shape = model.output or ((classes,) if classes is not None else target.shape or (1,))
    node = Node(NODE, NativeLayer(), (INPUT,), (input,), TensorType(shape), (), ("model",))
    return Graph(input, (node,))


def is_native(graph: Graph) -> bool:
    """Whether a graph stands for a native model."""
    return isinstance(graph.nodes[-1].layer, NativeLayer)


def for_backend(graph: Graph, model: Native, backend: str, seed: int) -> tuple[Graph, list[DlrunError]]:
    """The graph with what ``backend`` is to run, and what is wrong with that."""
    from dlrun.targets import check_target

    try:
        field = model.place(backend)
    except DlrunError as error:
        return graph, [error]
    place: Path = ("model", field)
    target = getattr(model, field)
    node = dataclasses.replace(graph.nodes[-1], layer=NativeLayer(target=target, place=place, seed=seed))
    return dataclasses.replace(graph, nodes=(node,)), check_target(target, place)
