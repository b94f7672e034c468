"""``dlrun new``: a recipe of one's own, copied with its comments."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from dlrun.cli.arguments import ConfigDir, Json, carried, recipe_override
from dlrun.errors import DlrunError, RunError, did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = """\
dlrun new my_recipe --from mnist
dlrun new my_recipe --from ./lab/baseline.yaml --out lab
dlrun new my_recipe --from outputs/mnist/RUN  # what a run was made with
dlrun new my_recipe --from mnist --force  # overwrite recipes/my_recipe.yaml"""


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new recipe's name.", show_default=False)],
    source: Annotated[
        str, typer.Option("--from", metavar="RECIPE", help="The recipe to start from: name, file or run (mnist).")
    ] = "mnist",
    out: Annotated[
        str, typer.Option("--out", metavar="DIR", help="Folder to write to (./recipes, where names are found).")
    ] = "recipes",
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file of that name.")] = False,
    config_dir: ConfigDir = None,
    json: Json = False,
) -> None:
    """Write a commented recipe to edit, from another one."""
    from pathlib import Path
    from shlex import quote

    from dlrun.cli import render

    stem = name.removesuffix(".yaml")
    if not re.fullmatch(r"\w[\w-]*", stem) or len(stem.encode()) > 200:
        raise DlrunError(
            "bad-name",
            f"`{name}` cannot name a recipe: letters, digits, `_` and `-` only, 200 bytes at most.",
            hint="Choose the folder with --out DIR." if "/" in name else None,
        )
    original = _find(source, config_dir)
    target = Path(out) / f"{stem}.yaml"
    if target.exists() and not force:
        raise DlrunError(
            "file-exists",
            f"`{target}` exists already.",
            hint=f"Choose another name, or overwrite it: dlrun new {name} --from {source} --force",
        )
    from dlrun.config.document import text_of

    text = text_of(original)
    text = renamed(text, _name_of(original, text), stem)
    _write(target, pointed(text, original.parent, target.parent))
    if json:
        render.print_json({"file": target, "from": original})
        return
    by_name = Path(out) == Path("recipes")
    argument = stem if by_name else quote(f"./{target}" if not target.is_absolute() else str(target))
    argument += "".join(f" {quote(flag)}" for flag in carried(config_dir))
    render.line(f"{target} written, a copy of {original}")
    render.next_steps(
        [
            (f"dlrun check {argument}", "after editing: every key, value and shape"),
            (f"dlrun train {argument} --smoke", "a dry run of a minute at most"),
            (f"dlrun train {argument}", "train it"),
        ]
    )


def renamed(text: str, before: str, name: str) -> str:
    """The recipe's text with its own name in the commands of its comments and in its ``name`` key."""
    lines = []
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith("#") and "$schema" not in line:
            line = re.sub(rf"(recipe=|dlrun \w+ ){re.escape(before)}\b", rf"\g<1>{name}", line)
        lines.append(re.sub(rf"^name:(\s*){re.escape(before)}\b", rf"name:\g<1>{name}", line))
    return "".join(lines)


def pointed(text: str, before: Path, folder: Path) -> str:
    """The recipe's text with its schema, given relative to the folder ``before``, found from ``folder``."""
    import os

    def found(line: re.Match[str]) -> str:
        schema = (before / line[2]).resolve()
        near = os.path.relpath(schema, folder.resolve())
        return line[1] + (str(schema) if near.startswith(os.path.join("..", "..")) else near)

    return re.sub(r"^(# yaml-language-server: \$schema=)([^\s:]+)$", found, text, flags=re.MULTILINE)


def _name_of(file: Path, text: str) -> str:
    """What a recipe calls itself; a run's is kept as ``recipe.yaml`` whatever its name."""
    said = re.search(r"^name:\s*([\w-]+)", text, re.MULTILINE) if file.name == "recipe.yaml" else None
    return said[1] if said else file.stem


def _find(source: str, config_dir: str | None) -> Path:
    import os
    from pathlib import Path

    from dlrun.config import recipes

    found = {str(entry[0]): Path(str(entry[1])) for entry in recipes(config_dir=config_dir)}
    if source in found:
        return found[source]
    file = recipe_override(source).removeprefix("recipe=")  # of a run, what it was made with
    if os.path.isfile(file):  # no word makes it raise
        return Path(file)
    text = f"`{source}` is neither a recipe nor a file nor a run."
    raise DlrunError("unknown-recipe", text, hint=did_you_mean(source, found))


def _write(target: Path, text: str) -> None:
    from dlrun.files import write_atomic

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(target, text.encode())
    except OSError as error:
        raise RunError(
            "cannot-write",
            f"`{target}` cannot be written: {error.strerror}.",
            hint="Choose another folder: --out DIR",
        ) from None
