"""Mistakes from inside an architecture, told of the fields that its user can change."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from dlrun.errors import DlrunError, Path
from dlrun.graph.architecture import Model

Mistakes = Callable[[Model], Sequence[DlrunError]]
"""What is wrong with the layers that an architecture makes."""


def own_fields(model: Model, errors: Sequence[DlrunError], mistakes: Mistakes) -> list[DlrunError]:
    """The errors without places and hints that mean keys of inner layers, which no recipe can reach.

    A field is to blame where its default alone makes the first error go away. What a user wrote as layers in a field
    of the architecture keeps its place.

    Args:
        model: The architecture.
        errors: From the layers it makes.
        mistakes: Called with changed copies of it.
    """
    inner = [e for e in errors if len(e.path) <= 2 and e.code != "unknown-activation"]
    if not inner:
        return list(errors)
    changed = _changed(model)
    tried = [*changed.items()][:8]
    blamed = next((name for name, default in tried if _gone(model, name, default, inner, mistakes)), "")
    path: Path = ("model", blamed) if blamed else ("model",)
    shown = [blamed] if blamed else [*changed]
    names = ", ".join(f"`{name}: {_text(getattr(model, name))}`" for name in shown)
    source = f"It comes from `{model.kind}`" + (f" with {names}" if names else "")
    for error in inner:
        error.path = path
        error.hint = f"{source}; change {_advice(model, blamed)} or the size of the input. dlrun layers {model.kind}"
    return list(errors)


def _changed(model: Model) -> dict[str, Any]:
    """Fields of the architecture itself that are not as they are by default, with their defaults."""
    common = {field.name for field in dataclasses.fields(Model)}
    found: dict[str, Any] = {}
    for field in dataclasses.fields(model):
        if field.name in common or field.name == "classes":
            continue
        if getattr(model, field.name) != field.default:
            found[field.name] = field.default
    return found


def _gone(model: Model, name: str, default: Any, inner: Sequence[DlrunError], mistakes: Mistakes) -> bool:
    if default is dataclasses.MISSING:
        return False
    other: dict[str, Any] = {name: default}
    try:
        found = mistakes(dataclasses.replace(model, **other))
    except DlrunError:
        return False
    return inner[0].code not in [error.code for error in found]


def _advice(model: Model, blamed: str) -> str:
    if blamed:
        return f"`{blamed}`"
    common = {field.name for field in dataclasses.fields(Model)}
    own = [f"`{field.name}`" for field in dataclasses.fields(model) if field.name not in common | {"classes"}]
    return ", ".join(own[:4]) or "the architecture"


def _text(value: Any) -> str:
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_text, value)) + "]"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
