"""From a typed recipe back to plain values: a complete recipe, every default written out."""

from __future__ import annotations

from typing import Any

from dlrun.config.language import Choice, Form, Items, Rows, Section, fields
from dlrun.recipe import Recipe

_UNSAID = {"name": None, "inputs": None, "trainable": True, "share": None}
"""Fields of every layer that are left out where they say nothing."""


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
        return value if isinstance(value, str) else {"name": value.kind, **_fields(value)}
    if isinstance(form, Rows):
        return [_fields(row) for row in value]
    if isinstance(form, Items):
        return [{item.kind: _short(item)} for item in value]
    return _lists(value)


def _short(item: Any) -> dict[str, Any]:
    # an automatic name, the input from the layer before and the like are nothing to write
    values = _fields(item)
    return {k: v for k, v in values.items() if not (k in _UNSAID and v == _UNSAID[k])}


def _lists(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_lists(v) for v in value]
    if isinstance(value, dict):
        return {k: _lists(v) for k, v in value.items()}
    return value
