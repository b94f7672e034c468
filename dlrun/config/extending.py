"""The Python files that a recipe names: found beside it, and offered for the names that dlrun does not have."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from dlrun import extensions
from dlrun.config.catalog import at_home
from dlrun.config.document import shown
from dlrun.config.node import Node
from dlrun.config.overrides import Override
from dlrun.errors import DlrunError, DlrunErrors, Where

KEY = "extensions"


def adopt(body: Node, file: Path) -> None:
    """Offer what a recipe's file names; its names become full paths.

    Raises:
        DlrunErrors: ``missing-extension``.
    """
    node = body.child(KEY)
    if node is None or not isinstance(node.value, list):
        return
    kept = (file.parent / "checkpoints").is_dir() and file.name == "recipe.yaml"
    errors = []
    for item in node.value:
        if isinstance(item.value, str):
            try:
                item.value = str(_offer(file.resolve().parent, item.value, item.where, kept))
            except DlrunError as error:
                errors.append(error)
    if errors:
        raise DlrunErrors(errors)


def adopt_overrides(overrides: Sequence[Override]) -> bool:
    """Offer what the command line names, relative to the working folder; whether it names any.

    Raises:
        DlrunErrors: ``missing-extension``.
    """
    found = False
    for override in overrides:
        if override.key == KEY and isinstance(override.value, list) and not override.delete:
            try:
                override.value[:] = [
                    str(_offer(Path.cwd(), v, override.where, False)) if isinstance(v, str) else v
                    for v in override.value
                ]
            except DlrunError as error:
                raise DlrunErrors([error]) from None
            found = True
    return found


def _offer(folder: Path, name: str, where: Where, kept: bool) -> Path:
    path = folder / at_home(name)
    if path.suffix != ".py" or not os.path.isfile(path):
        raise DlrunError(
            "missing-extension",
            f"`{name}` is not a Python file."
            if os.path.exists(path)
            else f"`{name}`: there is no file `{shown(path)}`.",
            where=where,
            hint="Paths are relative to the recipe's file; on the command line, to the working folder.",
        )
    extensions.offer(path, kept=kept)
    return path.resolve()
