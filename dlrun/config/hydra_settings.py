"""What a recipe says to Hydra itself: its section ``hydra``, and the groups of Hydra in its defaults list."""

from __future__ import annotations

from dataclasses import is_dataclass
from typing import Any

from dlrun.config.catalog import Catalog
from dlrun.config.leaf import written
from dlrun.config.node import Node
from dlrun.errors import DlrunError, Path, did_you_mean, dotted


def check_section(section: Node) -> list[DlrunError]:
    """Mistakes in a section ``hydra``; only a sweep reads it, but a mistake in it is one at any time."""
    if not isinstance(section.value, dict):
        text = f"`hydra` must be a mapping, got `{written(section.plain())}`."
        hint = "See its settings: dlrun train --cfg hydra"
        return [DlrunError("wrong-type", text, path=("hydra",), where=section.where, hint=hint)]
    from hydra.conf import HydraConf
    from omegaconf import OmegaConf

    errors: list[DlrunError] = []
    _walk(section, OmegaConf.structured(HydraConf), ("hydra",), errors)
    return errors


def _walk(section: Node, known: Any, path: Path, errors: list[DlrunError]) -> None:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    for key, child in section.value.items():
        place = (*path, key)
        if key not in list(known):  # `in` itself leaves out what has no value yet
            error = DlrunError("unknown-key", f"`{key}` is not a setting of `{dotted(path)}`.", path=place)
            error.hint = did_you_mean(key, map(str, known), "See its settings: dlrun train --cfg hydra")
        else:
            if is_dataclass(OmegaConf.get_type(known, key)) and isinstance(child.value, dict):
                _walk(child, known._get_node(key), place, errors)
                continue
            try:
                OmegaConf.update(known, key, child.plain(), force_add=False)
                continue
            except OmegaConfBaseException:
                error = DlrunError(
                    "wrong-type",
                    f"`{dotted(place)}` cannot be `{written(child.plain())}`.",
                    path=place,
                    hint="See its settings: dlrun train --cfg hydra",
                )
        error.where = child.where
        errors.append(error)


def check_group(group: str, option: object, override: bool, catalog: Catalog) -> DlrunError | None:
    """The mistake in choosing an option of a group of Hydra's, such as ``hydra/launcher``."""
    options = _options(group, catalog)
    role = group.rpartition("/")[2]
    if not options:
        return DlrunError(
            "unknown-group", f"`{group}` is not a group of Hydra's.", hint="See: dlrun train --info plugins"
        )
    if option not in options and option is not None:
        listed = "Valid: " + ", ".join(f"`{n}`" for n in options) + "."
        text = f"`{written(option)}` is not a {role} that is installed."
        return DlrunError(f"unknown-{role}", text, hint=did_you_mean(option, options, listed))
    if not override:
        return DlrunError(
            "bad-defaults",
            f"`{group}` is chosen already; a recipe overrides it.",
            hint=f"Write `- override /{group}: {written(option)}`.",
        )
    return None


def _options(group: str, catalog: Catalog) -> list[str]:
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.utils import create_config_search_path
    from hydra.core.plugins import Plugins

    Plugins.instance()  # launchers and sweepers that are installed
    found = ConfigLoaderImpl(create_config_search_path(None)).get_group_options(group)
    return sorted({*found, *catalog.options(group)})
