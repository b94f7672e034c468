"""``dlrun check``: resolve recipes and infer every shape, without a framework and without loading data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlrun.cli.arguments import ConfigDir, Json, RecipeAndOverrides, carried, recipe_override, split_words
from dlrun.errors import DlrunError, DlrunErrors

if TYPE_CHECKING:
    from dlrun.config import Composed
    from dlrun.graph import Graph, Node
    from dlrun.recipe import Recipe

EXAMPLES = """\
dlrun check mnist
dlrun check ./my_recipe.yaml model.layers.0.filters=64
dlrun check recipes/*.yaml  # several at once
dlrun check mnist --json"""


def check(
    words: RecipeAndOverrides = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="Check what `train --smoke` would run.")] = False,
    config_dir: ConfigDir = None,
    json: Json = False,
) -> None:
    """Check recipes: every key, value and shape.

    Shows layers, parameters and FLOPs. No framework is loaded and no data is read beyond headers.
    All mistakes are reported together.
    """
    from dlrun.cli import render
    from dlrun.config import compose

    bare, overrides = split_words(words)
    named = [o for o in overrides if o.startswith("recipe=")]
    targets: list[list[str]] = [[recipe_override(b)] for b in bare] or [[]]
    if bare and named:
        targets.append([])  # `check a recipe=b` checks both
    mistakes: list[DlrunError] = []
    checked: list[Composed] = []
    weights: dict[str, list[str]] = {}
    for target in targets:
        others = [o for o in overrides if not (target and o in named)]
        try:
            composed = compose([*target, *others], config_dir=config_dir, smoke=smoke)
            _check_root(composed)
            weights[composed.file] = _weights(composed)
            checked.append(composed)
        except DlrunErrors as error:
            mistakes += error.errors
        except DlrunError as error:
            mistakes.append(error)
    if json and not mistakes:
        render.print_json({"recipes": [_summary(c) for c in checked]})
    elif not json:
        for composed in checked:
            _draw(composed, weights[composed.file])
    if mistakes:
        raise DlrunErrors(mistakes)
    if not json:
        arguments = " ".join(["recipe=" + _again(checked[0]), *_quoted([*overrides, *carried(config_dir)], named)])
        render.next_steps(
            [
                (f"dlrun train {arguments} --smoke", "a dry run of a minute at most"),
                (f"dlrun train {arguments}", "train it"),
                (f"dlrun show {arguments}", "every value and where it came from"),
            ]
        )


def _again(composed: Composed) -> str:
    """How to name this recipe on a command line: as the user did."""
    from shlex import quote

    said = [o.partition("=")[2] for o in composed.overrides if o.startswith("recipe=")]
    return quote(said[-1]) if said else composed.recipe.name


def _quoted(overrides: list[str], named: list[str]) -> list[str]:
    from shlex import quote

    return [quote(o) for o in overrides if o not in named]


def layer_rows(graph: Graph) -> list[dict[str, Any]]:
    """One row per layer; an ``activation`` field's own node is part of its layer's row.

    ``parameters`` are those trained; ``frozen`` and ``shared`` ones are counted apart. A native model's are not known.
    """
    native = _native(graph)
    rows: list[dict[str, Any]] = []
    for node in graph.nodes:
        folded = rows and node.path[-1:] == ("activation",) and node.inputs == (rows[-1]["_last"],)
        if folded:
            row = rows[-1]
            row["activation"] = node.layer.kind
            row["flops"] += node.flops
            row["parameters"] += node.parameters
            row["frozen"] += node.frozen
        else:
            row = {
                "name": node.name,
                "kind": node.layer.kind,
                "activation": None,
                "inputs": list(node.inputs),
                "output": list(node.output.shape),
                "parameters": node.parameters,
                "frozen": node.frozen,
                "shared": _shared(node),
                "shares": node.shares,
                "flops": node.flops,
            }
            rows.append(row)
        row["output"], row["_last"] = list(node.output.shape), node.name
    for row in rows:
        del row["_last"]
        if native:
            row.update(parameters=None, frozen=None, flops=None)
    return rows


def _native(graph: Graph) -> bool:
    """Whether it stands for a model whose layers only its own framework knows."""
    return graph.nodes[-1].layer.kind == "native"


def _shared(node: Node) -> int:
    """Elements that belong to another layer."""
    from math import prod

    declared = node.layer.weights(*node.input_types) if node.shares else ()
    return sum(prod(w.shape) for w in declared if w.trainable)


def _summary(composed: Composed) -> dict[str, Any]:
    plan, recipe = composed.plan, composed.recipe
    known = not _native(plan.graph)
    return {
        "recipe": recipe.name,
        "file": composed.file,
        "task": recipe.task,
        "backend": recipe.backend.name,
        "data": {
            "source": recipe.data.source.kind,
            "input": list(plan.signature.input.shape),
            "classes": plan.signature.classes,
            "vocabulary": plan.signature.vocabulary,
            "train_samples": plan.train_samples,
            "validation_samples": plan.validation_samples,
            "test_samples": plan.signature.sizes.get("test", 0),
            "augment": [a.kind for a in recipe.data.augment],
        },
        "layers": layer_rows(plan.graph),
        "parameters": plan.graph.parameters if known else None,
        "frozen": plan.graph.frozen if known else None,
        "flops": plan.graph.flops if known else None,
        "steps_per_epoch": plan.steps_per_epoch,
        "epochs": recipe.train.epochs,
        "total_steps": plan.total_steps,
        "optimizer": {"name": recipe.optimizer.kind, **_fields(recipe.optimizer)},
        "schedule": {"name": recipe.schedule.kind, **_fields(recipe.schedule)},
        "loss": None if recipe.loss is None else recipe.loss.kind,
        "phases": [{"weights": p.weights, "loss": p.loss.kind} for p in recipe.train.phases],
        "metrics": [m.kind for m in recipe.metrics],
        "notes": list(composed.notes),
    }


def _losses(recipe: Recipe) -> list[str]:
    if recipe.loss is not None:
        return [recipe.loss.kind]
    return [f"{phase.loss.kind} for {phase.weights}" for phase in recipe.train.phases]


def _fields(spec: Any) -> dict[str, Any]:
    import dataclasses

    return dataclasses.asdict(spec)


def _said(spec: Any) -> str:
    """``adam (learning_rate 0.001, betas (0.9, 0.999))``, without fields that are off."""
    on = {k: v for k, v in _fields(spec).items() if v not in (None, False, 0, ())}
    on = {k: len(v) if isinstance(v, tuple) and isinstance(v[0], dict) else v for k, v in on.items()}
    inside = ", ".join(f"{k} {v}" if v is not True else k for k, v in on.items())
    return f"{spec.kind} ({inside})" if inside else spec.kind


def _check_root(composed: Composed) -> None:
    from dlrun.data.locate import check_root

    with composed.placing():
        check_root(composed.recipe.data.root)


def _weights(composed: Composed) -> list[str]:
    """What of a file of weights fits the model."""
    if composed.recipe.model.weights is None:
        return []
    from dlrun.weights.pretrained import preview

    with composed.placing():
        return preview(composed.plan)


_UNKNOWN = "—"


def _parameters(row: dict[str, Any]) -> str:
    """``1,040``, ``1,024 frozen`` or ``16 + 1,024 frozen``; shared ones are no part of the total."""
    if row["parameters"] is None:
        return _UNKNOWN
    marked = (("", "parameters"), (" frozen", "frozen"), (" shared", "shared"))
    return " + ".join(f"{row[key]:,}{mark}" for mark, key in marked if row[key])


def _draw(composed: Composed, weights: list[str]) -> None:
    from dlrun.cli import render

    plan, recipe, graph = composed.plan, composed.recipe, composed.plan.graph
    signature = plan.signature
    render.line(f"{recipe.name}  {composed.file}", style="bold")
    sequential = graph.sequential
    rows = []
    for row in layer_rows(graph):
        kind = row["kind"] + (f" + {row['activation']}" if row["activation"] else "")
        shape = "(" + ", ".join(["N", *map(str, row["output"])]) + ")"
        flops = _UNKNOWN if row["flops"] is None else row["flops"] or ""
        cells = [row["name"], kind, shape, _parameters(row), flops]
        rows.append(cells if sequential else [*cells, ", ".join(row["inputs"])])
    columns = ["layer", "kind", "output", "parameters", "FLOPs", *([] if sequential else ["reads"])]
    native = _native(graph)
    sums = [_UNKNOWN, _UNKNOWN] if native else [graph.parameters + graph.frozen, graph.flops]
    total = ["total", "", str(graph.output), *sums, *([] if sequential else [""])]
    render.table(columns, rows, right=("parameters", "FLOPs"), total=total)
    render.line()
    classes = f", {signature.classes} classes" if signature.classes else ""
    ids = f" of ids below {signature.vocabulary:,}" if signature.vocabulary else ""
    facts = [
        (
            "data",
            f"{recipe.data.source.kind}: input {signature.input}{ids}{classes}; {plan.train_samples:,} train, "
            f"{plan.validation_samples:,} validation, {signature.sizes.get('test', 0):,} test samples",
        ),
        (
            "steps",
            f"{plan.steps_per_epoch:,} per epoch of {recipe.data.batch_size} samples, "
            f"{plan.total_steps:,} in {recipe.train.epochs} epochs",
        ),
        ("loss", ", ".join([*_losses(recipe), *(m.kind for m in recipe.metrics)])),
        ("optimizer", f"{_said(recipe.optimizer)}, schedule {_said(recipe.schedule)}"),
        ("backend", f"{recipe.backend.name} on {recipe.device.name}, {recipe.precision}, seed {recipe.seed}"),
    ]
    if recipe.data.augment:
        facts.insert(1, ("augment", ", ".join(map(_said, recipe.data.augment))))
    if graph.frozen:
        facts.insert(0, ("parameters", f"{graph.parameters:,} trained + {graph.frozen:,} frozen"))
    facts += [("weights", line) for line in weights]
    if native:
        facts.append(("model", "native: its layers, shapes and parameters are its own affair; `train` counts them"))
    render.facts(facts)
    render.notes(composed.notes)
    render.line()
