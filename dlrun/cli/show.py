"""``dlrun show``: the resolved recipe, and where each value came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dlrun.cli.arguments import ConfigDir, Json, RecipeAndOverrides, carried, with_recipe
from dlrun.errors import dotted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dlrun.config import Composed

EXAMPLES = """\
dlrun show mnist
dlrun show mnist optimizer=sgd train.epochs=5  # with overrides
dlrun show outputs/mnist/RUN  # what a run was made with
dlrun show mnist --json"""


def show(
    words: RecipeAndOverrides = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="Show what `train --smoke` would run.")] = False,
    config_dir: ConfigDir = None,
    json: Json = False,
) -> None:
    """Show a recipe resolved, and where each value came from.

    What is printed is itself a complete recipe.
    """
    import shlex

    from dlrun.cli import render
    from dlrun.config import compose, dump

    composed = compose(with_recipe(words), config_dir=config_dir, smoke=smoke)
    if json:
        render.print_json(
            {
                "recipe": composed.recipe.name,
                "file": composed.file,
                "values": composed.values,
                "origins": composed.origins,
                "notes": list(composed.notes),
            }
        )
        return
    render.annotated(annotate(dump(composed.values), composed.origins))
    render.notes(composed.notes)
    flags = carried(config_dir)
    again = shlex.join([*composed.overrides, *flags])
    render.next_steps(
        [
            (f"dlrun check {again}", "layers, parameters and FLOPs"),
            (f"dlrun train {again}", "train it"),
            (shlex.join(["dlrun", "new", "my_recipe", "--from", _source(composed), *flags]), "a copy to edit"),
        ]
    )


def _source(composed: Composed) -> str:
    """The recipe that was shown, as `new` finds it again: by name if it was named."""
    from pathlib import Path

    from dlrun.config.catalog import is_path

    said = [o.partition("=")[2] for o in composed.overrides if o.startswith("recipe=")]
    return composed.file if said and is_path(said[-1]) else Path(composed.file).stem


def annotate(text: str, origins: Mapping[str, str]) -> list[tuple[str, str]]:
    """Each line of a YAML text with the origins of the values that begin on it."""
    import yaml

    found: dict[int, list[str]] = {}

    def walk(node: yaml.Node, path: tuple[str | int, ...]) -> None:
        origin = origins.get(dotted(path))
        if origin is not None:
            at = found.setdefault(node.start_mark.line, [])
            if origin not in at:
                at.append(origin)
        elif isinstance(node, yaml.ScalarNode):
            if dotted((*path, node.value)) in origins:  # `- flatten` is short for `- flatten: {}`
                walk(node, (*path, node.value))
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                walk(value, (*path, key.value))
        elif isinstance(node, yaml.SequenceNode):
            for i, value in enumerate(node.value):
                walk(value, (*path, i))

    root = yaml.compose(text, yaml.SafeLoader)
    if root is not None:
        walk(root, ())
    return [(line, ", ".join(found.get(i, ()))) for i, line in enumerate(text.splitlines())]
