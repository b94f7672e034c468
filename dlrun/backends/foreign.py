"""A user's own model in the place of a graph: what does not depend on the framework it is made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from dlrun.errors import DlrunError, DlrunErrors
from dlrun.graph import Graph, Node, TensorType, Weight
from dlrun.models.native import NODE, TARGET, NativeLayer, is_native
from dlrun.plan import Plan
from dlrun.update import ruled

M = TypeVar("M")


def with_weights(
    plan: Plan, make: Callable[[NativeLayer, Graph], M], weights: Callable[[M], Mapping[str, Weight]]
) -> Plan:
    """The plan with the weights of its native model in the graph; a plan of layers is as it was.

    Args:
        plan: The plan.
        make: Makes the model that a layer stands for.
        weights: Its weights by full name, what they belong to before the last dot.

    Raises:
        DlrunError: ``native-type``, ``native-output``, ``target-failed``; DlrunErrors: patterns that match no weight.
    """
    if not is_native(plan.graph):
        return plan
    main = plan.graph.nodes[-1]
    layer = main.layer
    assert isinstance(layer, NativeLayer)
    made = make(layer, plan.graph)
    layer.made.append(made)
    owned: dict[str, list[Weight]] = {}
    for name, weight in weights(made).items():
        owned.setdefault(name.rpartition(".")[0] or NODE, []).append(weight)
    main = dataclasses.replace(main, weights=tuple(owned.pop(NODE, ())))
    holders = [Node(name, layer, (), (), TensorType(()), tuple(own), main.path) for name, own in owned.items()]
    graph, errors = ruled(plan.recipe, dataclasses.replace(plan.graph, nodes=(*holders, main)))
    if errors:
        raise DlrunErrors(errors)
    return dataclasses.replace(plan, graph=graph)


def wrong_type(layer: NativeLayer, made: object, backend: str, wanted: str) -> DlrunError:
    """The mistake that a target makes something which ``backend`` cannot run."""
    return DlrunError(
        "native-type",
        f"`{layer.target[TARGET]}` made a `{type(made).__name__}`; the {backend} backend runs {wanted}.",
        path=(*layer.place, TARGET),
        hint="Choose the backend that it is made for, or give each backend its own target.",
    )


def failed(layer: NativeLayer, samples: Sequence[int], error: Exception, images: str) -> DlrunError:
    """The mistake that a model raises ``error`` on samples of some shape; ``images`` is the shape that images have."""
    return DlrunError(
        "target-failed",
        f"`{layer.target[TARGET]}` fails on samples of shape {tuple(samples)}: {type(error).__name__}: "
        f"{' '.join(str(error).split())}",
        path=(*layer.place, TARGET),
        hint=f"Images arrive as {images}, everything else as the data has it.",
    )


def wrong_answer(layer: NativeLayer, answer: object, shape: Sequence[int] | None, wanted: TensorType) -> DlrunError:
    """The mistake that an answer, of this shape if it is a tensor, is not what the data and loss need."""
    found = f"a `{type(answer).__name__}`" if shape is None else str(TensorType(tuple(shape[1:])))
    return DlrunError(
        "native-output",
        f"`{layer.target[TARGET]}` answers with {found}; the data and loss need {wanted}.",
        path=(*layer.place, TARGET),
        hint='Give it the number of outputs (`classes: "${data.classes}"`), or say its shape by `model.output`.',
    )
