"""Candidates for completing one ``key=value``; nothing is composed and no file but folders is read."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from dlrun.backends import BACKENDS
from dlrun.config.catalog import CHOICES, RECIPE, Catalog, is_path
from dlrun.config.language import Choice, Form, Items, Leaf, Rows, Section, fields
from dlrun.recipe import Recipe


def complete(text: str, config_dir: str | None = None) -> list[str]:
    """What ``text`` may become: keys end with ``=`` or ``.``, values are whole.

    Args:
        text: The beginning of an override.
        config_dir: The user's own folder of groups and recipes.
    """
    catalog = Catalog(Path(config_dir) if config_dir is not None else None)
    sign = text[: len(text) - len(text.lstrip("+~"))]
    bare = text[len(sign) :]
    if "=" in bare:
        key, _, value = bare.partition("=")
        found = [f"{key}={v}" for v in _values(key, value, catalog)]
    else:
        found = _keys(bare, catalog)
    return [sign + f for f in found if f.startswith(bare)]


def _values(key: str, value: str, catalog: Catalog) -> list[str]:
    before, comma, _ = value.rpartition(",")  # seed=1,2: complete the last of several
    if catalog.is_group(key):
        if key == RECIPE and is_path(value):
            return []
        options = catalog.options(key)
    else:
        form = _form(key.split("."))
        if form is None:
            return []
        options = _options(form, key.rpartition(".")[2])
    return [f"{before}{comma}{option}" for option in options if option not in before.split(",")]


def _options(form: Form, key: str) -> list[str]:
    if isinstance(form, Choice):
        return form.registry.names()
    if isinstance(form, Leaf):
        if key == "name" and form.type is str:
            return list(BACKENDS)
        return _leaf_options(form.type)
    return []


def _leaf_options(hint: Any) -> list[str]:
    origin = get_origin(hint)
    if origin is Annotated:
        return _leaf_options(hint.__origin__)
    if origin in (Union, types.UnionType):
        return [o for a in get_args(hint) for o in _leaf_options(a)]
    if origin is Literal:
        return [str(a) for a in get_args(hint)]
    return {bool: ["true", "false"], type(None): ["null"]}.get(hint, [])


def _keys(text: str, catalog: Catalog) -> list[str]:
    *parts, _ = text.split(".")
    prefix = "".join(f"{p}." for p in parts)
    if not parts:
        groups = [f"{g}=" for g in catalog.groups() if g not in fields(Recipe) and g != "hydra"]
        return sorted({*groups, *_named(fields(Recipe).items(), ""), *(f"{g}=" for g in CHOICES)})
    form = _form(parts)
    if form is None:
        return []
    if isinstance(form, Items) and not isinstance(_form(parts[:-1]), Items):
        return []  # an item's name or index: only the recipe knows
    return sorted(set(_named(_fields(form, parts), prefix)))


def _named(entries: Any, prefix: str) -> list[str]:
    found = []
    for name, field in entries:
        if isinstance(field.form, Leaf):
            found.append(f"{prefix}{name}=")
            continue
        found.append(f"{prefix}{name}.")
        if isinstance(field.form, Choice | Items | Rows) or field.form.named:
            found.append(f"{prefix}{name}=")
    return found


def _fields(form: Form, parts: list[str]) -> list[tuple[str, Any]]:
    """Keys that may follow: of a choice or an item those of every class, since the recipe is not read."""
    if isinstance(form, Section):
        return list(fields(form.cls).items())
    if isinstance(form, Choice):
        # what is meant without a name comes last, so that its fields win over others of the same name
        kinds = sorted(form.registry, key=lambda kind: kind == form.registry.default)
        return [(n, f) for kind in kinds for n, f in fields(form.registry.get(kind)).items()]
    if isinstance(form, Items) and parts:
        kind = parts[-1].rpartition("_")[0]
        kinds = [kind] if kind in form.registry else form.registry.names()
        return [(n, f) for k in kinds for n, f in fields(form.registry.get(k)).items()]
    return []


def _form(parts: list[str]) -> Form | None:
    form: Form = Section(Recipe)
    rest = list(parts)
    while rest:
        part = rest.pop(0)
        if isinstance(form, Items):
            if not rest:
                return form
            after = dict(_fields(form, [part])).get(rest[0])
            if after is None and rest[0] in form.registry and len(rest) > 1:
                after = fields(form.registry.get(rest.pop(0))).get(rest[0])
            if after is None:
                return None
            rest.pop(0)
            form = after.form
            continue
        if isinstance(form, Rows):
            form = Section(form.cls)  # whatever the index
            continue
        known = dict(_fields(form, parts))
        if part == "name" and isinstance(form, Choice) and not rest:
            return form
        if part not in known:
            return None
        form = known[part].form
    return form
