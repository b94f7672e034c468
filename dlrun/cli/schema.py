"""``dlrun schema``: the recipe language as JSON Schema, for editors."""

from __future__ import annotations

from typing import Annotated

import typer

from dlrun.errors import RunError

EXAMPLES = """\
dlrun schema --out recipe.schema.json
dlrun schema | jq '.properties | keys'"""


def schema(
    out: Annotated[
        str | None, typer.Option("--out", metavar="FILE", help="Write it to a file instead of standard output.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Accepted for uniformity; the schema is JSON anyway.")] = False,
) -> None:
    """Print the JSON Schema of recipes.

    Editors complete and check recipes by it. A recipe names it in its first line:
    # yaml-language-server: $schema=recipe.schema.json
    """
    from pathlib import Path

    from dlrun.cli import render
    from dlrun.config import schema as recipe_schema

    if out is None:
        render.print_json(recipe_schema())
        return
    from dlrun.files import write_json

    try:
        write_json(Path(out), recipe_schema())
    except OSError as error:
        raise RunError("cannot-write", f"`{out}` cannot be written: {error.strerror}.") from None
    if json:
        render.print_json({"file": out})
        return
    render.line(f"schema written to {out}")
    render.next_steps([(f"# yaml-language-server: $schema={out}", "first line of a recipe beside it")])
