"""From a typed recipe back to plain values: a complete recipe, every default written out."""

from __future__ import annotations

from typing import Any

from dlrun.config.language import Choice, Form, Items, Section, fields
from dlrun.recipe import Recipe


def values_of(recipe: Recipe) -> dict[str, Any]:
    """Plain values that are themselves a recipe equal to this one."""
    return _fields(recipe)


def _fields(instance: Any) -> dict[str, Any]:
    return {name: plain(field.form, getattr(instance, name)) for name, field in fields(type(instance)).items()}


def plain(form: Form, value: Any) -> Any:
    """A typed value as a recipe writes it."""
    if value is None:
        return None
    if isinstance(form, Section):
        return _fields(value)
    if isinstance(form, Choice):
        return {"name": value.kind, **_fields(value)}
    if isinstance(form, Items):
        return [{item.kind: _short(item)} for item in value]
    return _lists(value)


def _short(item: Any) -> dict[str, Any]:
    # an automatic name or the input from the layer before is nothing to write
    return {k: v for k, v in _fields(item).items() if not (k in ("name", "inputs") and v is None)}


def _lists(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_lists(v) for v in value]
    if isinstance(value, dict):
        return {k: _lists(v) for k, v in value.items()}
    return value
