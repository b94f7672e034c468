"""The recipes that can be named."""

from __future__ import annotations

import re
from pathlib import Path

from dlrun.config.catalog import Catalog, catalog_of
from dlrun.config.document import read
from dlrun.errors import DlrunErrors


def recipes(config_dir: str | None = None) -> list[tuple[str, Path, str, tuple[str, ...]]]:
    """Name, file, description and header comment of every recipe, sorted by name.

    Args:
        config_dir: The user's own folder of groups and recipes.

    Raises:
        DlrunErrors: ``no-config-dir``.
    """
    catalog = catalog_of(config_dir)
    found = [catalog.recipe_file(name) for name in catalog.recipe_names()]
    return [(r.name, r.path, r.description, r.header) for r in found]


def task_said(path: Path, config_dir: str | None = None) -> str | None:
    """The task in a line of a recipe's own, or else of the last one it starts from; None where none says it.

    Args:
        path: The recipe's file.
        config_dir: The user's own folder of groups and recipes.

    Raises:
        DlrunErrors: ``no-config-dir``.
    """
    return _task(path, catalog_of(config_dir), ())


def _task(path: Path, catalog: Catalog, below: tuple[Path, ...]) -> str | None:
    text = path.read_text("utf-8", errors="replace")
    found = re.search(r"^task:\s*([\w-]+)", text, re.MULTILINE)
    if found or path in below or "defaults" not in text:
        return found[1] if found else None
    try:
        defaults = read(path).value.get("defaults")
    except DlrunErrors:  # `dlrun check` says it
        return None
    listed = defaults.value if defaults is not None and isinstance(defaults.value, list) else []
    parents = [catalog.find_recipe(entry.value) for entry in reversed(listed) if isinstance(entry.value, str)]
    said = (_task(parent, catalog, (*below, path)) for parent in parents if parent is not None)
    return next((task for task in said if task is not None), None)
