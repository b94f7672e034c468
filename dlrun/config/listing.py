"""The recipes that can be named."""

from __future__ import annotations

from pathlib import Path

from dlrun.config.catalog import catalog_of


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
