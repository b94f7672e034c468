"""Examples of layers and losses as lines of a recipe."""

from __future__ import annotations

import dataclasses
from typing import Any


def example(cls: type, kind: str, role: str) -> str | None:
    """The first example of a layer or loss as a recipe writes it, on one line; None where there is none."""
    cases = [case for case in getattr(cls, "examples", ()) if case.raises is None] if role in ("layer", "loss") else []
    if not cases:
        return None
    fields = {name: _plain(value) for name, value in cases[0].fields.items()}
    if role == "loss":
        return f"loss: {_flow({'name': kind, **fields}) if fields else kind}"
    read = len(cases[0].inputs)
    if read > 1:
        fields["inputs"] = [f"layer_{i + 1}" for i in range(read)]
    return f"- {kind}: {_flow(fields)}" if fields else f"- {kind}"


def _plain(value: Any) -> Any:
    """A field's value as a recipe writes it; of a layer or term the fields that are not as by default."""
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    said = {
        f.name: _plain(getattr(value, f.name))
        for f in dataclasses.fields(value)
        if f.name != "kind" and getattr(value, f.name) != _default(f)
    }
    kind = getattr(value, "kind", None)
    if not kind:
        return said
    from dlrun.graph import Layer

    if isinstance(value, Layer):
        return {kind: said} if said else kind
    return {"name": kind, **said} if said else kind


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default


def _flow(value: Any) -> str:
    """YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(v)}" for key, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if value is None or isinstance(value, bool):
        return str(value).lower() if value is not None else "null"
    return str(value)
