"""The files of one composition: what each contributes, and what its defaults list may say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from dlrun.config.catalog import CHOICES, RECIPE, Catalog
from dlrun.config.document import read, shown
from dlrun.config.extending import adopt
from dlrun.config.hydra_settings import check_group, check_section
from dlrun.config.language import Choice, Section, fields
from dlrun.config.leaf import written
from dlrun.config.node import Node
from dlrun.config.normal import expand
from dlrun.errors import DlrunError, DlrunErrors, Where, did_you_mean, one_of
from dlrun.recipe import Recipe

_PACKAGE = re.compile(r"^\s*#\s*@package\s+(\S+)")
_ENTRY = re.compile(r"^(?P<words>(?:override |optional )*)(?P<group>[^@\s]+)(?:@(?P<package>\S+))?$")


@dataclass
class File:
    """One YAML file of a composition.

    Args:
        path: The file.
        body: Its content without ``defaults`` and ``hydra``.
        train: The option of the group ``train`` when it is written as a name alone.
        overrides: Options its defaults list chooses, by group.
        inherits: Recipes its defaults list names, each with its place.
    """

    path: Path
    body: Node
    train: Node | None
    overrides: dict[str, Node]
    inherits: dict[str, Where]


def header_package(file: Path, config: str) -> str | None:
    """The package a file's content belongs to: its ``# @package`` line; recipes are complete files."""
    with open(file, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            found = _PACKAGE.match(line)
            if found:
                return found[1]
            if line.strip() and not line.lstrip().startswith("#"):
                break
    return "_global_" if config.startswith(f"{RECIPE}/") else None


def load(path: Path, config: str, catalog: Catalog) -> File:
    """Read a file and check its defaults list.

    Args:
        path: The file.
        config: Its name to Hydra, e.g. ``recipe/mnist``.
        catalog: Where its defaults list finds its options.

    Raises:
        DlrunErrors: ``yaml-syntax``, ``duplicate-key``, ``bad-defaults``, ``unknown-<group>``, ``missing-extension``,
            and mistakes in the section ``hydra``.
    """
    body = read(path)
    defaults = body.value.pop("defaults", None)
    hydra = body.value.pop("hydra", None)
    errors: list[DlrunError] = []
    if hydra is not None and not path.is_relative_to(catalog.conf):  # not at each start for dlrun's own
        errors += check_section(hydra)
    if config.startswith(f"{RECIPE}/"):
        adopt(body, path)  # before layers are looked for
    chosen: dict[str, Node] = {}
    inherits: dict[str, Where] = {}
    if defaults is not None:
        if not isinstance(defaults.value, list):
            errors.append(DlrunError("bad-defaults", "`defaults` must be a list.", where=defaults.where))
        else:
            for entry in defaults.value:
                error = _check(entry, config, catalog, chosen, inherits)
                if error is not None:
                    error.where = error.where or entry.where
                    errors.append(error)
    if errors:
        raise DlrunErrors(errors)
    train = None
    if (header_package(path, config) or "") == "_global_":
        section = body.value.get("train")
        if section is not None and isinstance(section.value, str):
            train = body.value.pop("train")
        body = expand(Section(Recipe), body)
    return File(path, body, train, chosen, inherits)


def _check(
    entry: Node, config: str, catalog: Catalog, chosen: dict[str, Node], inherits: dict[str, Where]
) -> DlrunError | None:
    here = config.rpartition("/")[0] if not config.startswith(f"{RECIPE}/") else RECIPE
    if isinstance(entry.value, str):
        error = _check_config(entry.value, here, catalog)
        path = entry.value.partition("@")[0]
        full = path.lstrip("/") if path.startswith("/") else f"{here}/{path}"
        if error is None and full.startswith(f"{RECIPE}/") and path != "_self_" and "${" not in path:
            inherits[full] = entry.where
        return error
    if not isinstance(entry.value, dict) or len(entry.value) != 1:
        return DlrunError(
            "bad-defaults",
            "an entry of `defaults` is a name or one `group: option`.",
            hint="For example `- override /optimizer: adam`.",
        )
    (key, option), *_ = entry.value.items()
    found = _ENTRY.match(key)
    if found is None:
        return DlrunError("bad-defaults", f"`{key}` does not name a group.", hint="Write `- override /group: option`.")
    words, name = found["words"], found["group"]
    if name.lstrip("/").startswith("hydra/"):
        own = catalog.find(config)
        if own is not None and own.is_relative_to(catalog.conf):
            return None
        return check_group(name.lstrip("/"), option.plain(), "override" in words, catalog)
    group = name.lstrip("/") if name.startswith("/") or not here else f"{here}/{name}"
    if not catalog.is_group(group):
        if catalog.is_group(name):
            return DlrunError(
                "bad-defaults", f"`{key}` needs a leading slash.", hint=f"Write `- {words}/{name}: {option.plain()}`."
            )
        return unknown_group(name.lstrip("/"), catalog)
    if here == RECIPE and group in CHOICES and "override" not in words:
        return DlrunError(
            "bad-defaults",
            f"`{key}` is chosen already; a recipe overrides it.",
            hint=f"Write `- override /{group}: {option.plain()}`.",
        )
    if here == RECIPE and group == RECIPE:
        return DlrunError(
            "bad-defaults", f"`{key}`: a recipe inherits by name alone.", hint=f"Write `- {option.plain()}`."
        )
    if group in CHOICES and not isinstance(option.value, str):
        return DlrunError(
            "bad-defaults",
            f"`{key}` takes the name of one option, got `{written(option.plain())}`.",
            hint="Valid: " + ", ".join(f"`{n}`" for n in catalog.options(group)) + ".",
        )
    options = option.value if isinstance(option.value, list) else [option]
    for one in options:
        name = one.value
        if isinstance(name, str) and "${" not in name:
            found_one = catalog.find(f"{group}/{name}") is not None
            if not found_one and "optional" not in words:
                return unknown_option(group, name, catalog)
            if found_one and ("override" in words or here != RECIPE):
                chosen[group] = Node(name, option.where)
    return None


def _check_config(name: str, here: str, catalog: Catalog) -> DlrunError | None:
    path = name.partition("@")[0]
    if path == "_self_" or "${" in path:
        return None
    full = path.lstrip("/") if path.startswith("/") else (f"{here}/{path}" if here else path)
    if catalog.find(full) is not None:
        return None
    group, _, option = full.rpartition("/")
    if catalog.is_group(group):
        return unknown_option(group, option, catalog)
    return DlrunError("bad-defaults", f"`{name}` is not a recipe or group option.", hint="Remove it from `defaults`.")


def unknown_group(name: str, catalog: Catalog, where: Where | None = None) -> DlrunError:
    """``unknown-group`` with the nearest names."""
    names = catalog.groups()
    return DlrunError(
        "unknown-group",
        f"`{name}` is not a group.",
        where=where,
        hint=did_you_mean(name, names, "Valid: " + ", ".join(f"`{n}`" for n in names) + "."),
    )


def unknown_option(group: str, option: str, catalog: Catalog, where: Where | None = None) -> DlrunError:
    """``unknown-recipe``, ``unknown-optimizer``, … with the nearest names and how to list them."""
    if group == "device" and option == "tpu":
        error = no_tpu()
        error.where = where
        return error
    names = catalog.options(group)
    last = group.rpartition("/")[2]
    field = fields(Recipe).get(group)
    known = field.form.registry.known(option) if field is not None and isinstance(field.form, Choice) else []
    hint = one_of(known) or did_you_mean(option, names, "")
    if group == RECIPE:
        if option.endswith((".yaml", ".yml")) or "/" in option:
            found = catalog.find_recipe(Path(option).stem)  # `dlrun new` writes to a folder of recipes
            hint = "Check the path." if found is None else f"Did you mean `{shown(found)}`?"
            return DlrunError("unknown-recipe", f"there is no recipe file `{option}`.", where=where, hint=hint)
        hint = f"{hint} List them: dlrun recipes".strip()
    elif not hint or hint.startswith("Did"):
        hint = f"{hint} Valid: {', '.join(f'`{n}`' for n in names)}.".strip()
    article = "an" if last[0] in "aeiou" else "a"
    return DlrunError(f"unknown-{last}", f"`{option}` is not {article} {last}.", where=where, hint=hint)


def no_tpu() -> DlrunError:
    """``device-not-supported``: a device that people ask for and that is not there on any backend."""
    return DlrunError(
        "device-not-supported",
        "`tpu` is not supported.",
        path=("device", "name"),
        hint="Valid: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.",
    )
