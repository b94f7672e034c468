"""What the steps of an update may say, beside the rest of the recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from dlrun.errors import DlrunError, DlrunErrors, Path
from dlrun.graph import Graph, TensorType
from dlrun.graph.patterns import unmatched
from dlrun.losses.loss import unread
from dlrun.losses.weighted_sum import WeightedSum
from dlrun.models.native import Native
from dlrun.recipe import Phase, Recipe

_PLACE: Path = ("train", "phases")


def check_phases(
    recipe: Recipe, graph: Graph, outputs: Mapping[str, TensorType], target: TensorType, classes: int | None
) -> Iterator[DlrunError]:
    """What is wrong with ``train.phases``, of which there is at least one.

    Args:
        recipe: The typed recipe.
        graph: Its model.
        outputs: Types of the model's outputs by name, its answer first.
        target: Type of the data's labels.
        classes: Classes of the data, or None.
    """
    phases = recipe.train.phases
    if recipe.loss is not None:
        yield DlrunError(
            "contradiction",
            f"`loss: {recipe.loss.kind}` and `train.phases` exclude each other: each phase has a loss of its own.",
            path=("loss",),
            hint="Remove one of them.",
        )
    if recipe.precision == "float16":
        yield DlrunError(
            "contradiction",
            "`train.phases` cannot be trained in `float16`: one loss scale does not fit several losses.",
            path=("precision",),
            hint="Use `bfloat16`.",
        )
    if isinstance(recipe.model, Native):
        yield DlrunError(
            "contradiction",
            "`train.phases` needs a model that dlrun describes, and this one is `native`.",
            path=_PLACE,
            hint="Write the model as layers, or minimise one `loss`.",
        )
        return
    yield from unmatched([(phase.weights, (*_PLACE, i, "weights")) for i, phase in enumerate(phases)], graph)
    yield from _weights(phases, graph)
    wrong = [error for i, phase in enumerate(phases) for error in _loss(i, phase, outputs, target, classes)]
    yield from wrong
    if not wrong:
        _, *further = outputs
        read = {i for phase in phases for i in phase.reads(tuple(outputs))}
        missed = [name for i, name in enumerate(further, 1) if i not in read]
        if missed:
            error = unread(missed, "no phase reads it")
            error.path, error.hint = _PLACE, "Let a phase's loss read it, or take it out of `model.outputs`."
            yield error


def _weights(phases: tuple[Phase, ...], graph: Graph) -> Iterator[DlrunError]:
    """Each phase trains something, and each trained weight is in a phase."""
    names = [name for name, _ in graph.weights()]
    trained = [name for name, weight in graph.weights() if weight.trainable]
    for i, phase in enumerate(phases):
        if any(fnmatchcase(n, phase.weights) for n in names) and not any(
            fnmatchcase(n, phase.weights) for n in trained
        ):
            yield DlrunError(
                "nothing-to-train",
                f"none of the weights that `{phase.weights}` matches is trained.",
                path=(*_PLACE, i, "weights"),
                hint="See `model.freeze` and the layers' `trainable`.",
            )
    left = [name for name in trained if not any(fnmatchcase(name, phase.weights) for phase in phases)]
    if left:
        listed = ", ".join(f"`{n}`" for n in left[:6]) + (f" and {len(left) - 6} more" if len(left) > 6 else "")
        yield DlrunError(
            "untrained-weights",
            f"no phase trains {listed}.",
            path=_PLACE,
            hint="Add a phase whose `weights` match them, or name them in `model.freeze`.",
        )


def _loss(
    i: int, phase: Phase, outputs: Mapping[str, TensorType], target: TensorType, classes: int | None
) -> Iterator[DlrunError]:
    place = (*_PLACE, i)
    several = isinstance(phase.loss, WeightedSum)
    if several and phase.output is not None:
        yield DlrunError(
            "contradiction",
            f"`output: {phase.output}` beside `weighted_sum`, whose terms say themselves which outputs they read.",
            path=(*place, "output"),
            hint="Move it into the terms.",
        )
        return
    try:
        phase.minimised.check_terms(outputs, target, classes)
    except DlrunErrors as found:
        errors = list(found.errors)
    except DlrunError as one:
        errors = [one]
    else:
        return
    for error in errors:
        if error.path[:1] == ("loss",):
            own = error.path if several else error.path[3:]  # ("loss", "terms", 0) stands for the phase's one loss
            error.path = (*place, *own)
        yield error
