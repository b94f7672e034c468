"""What is known of layers and models with mistakes, so that the rest of the model can be looked at all the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dlrun.graph.architecture import LayerList
from dlrun.graph.draft import draft
from dlrun.graph.layer import Composite, Layer, layers

_WIRING = ("name", "inputs", "share")


def layer_draft(kind: str, values: Mapping[str, Any], broken: set[str], nested: Mapping[str, Any]) -> Layer:
    """A layer with mistakes as far as it is known.

    Args:
        kind: What was written.
        values: Fields that can be read.
        broken: Names of those that cannot.
        nested: Of these, the lists of layers that are known in part.
    """
    cls = layers.get(kind) if kind in layers else None
    if cls is not None and issubclass(cls, Composite) and broken and broken == nested.keys():
        return cls(**{**values, **nested})  # all else is right: its parts can be looked at
    known = {name: values[name] for name in _WIRING if name in values}
    if isinstance(values.get("activation"), str):
        known["activation"] = values["activation"]
    return draft(kind, cls, **known, unknown=tuple(sorted(broken & {*_WIRING, "activation"})))


def no_layer() -> Layer:
    """What stands for an item of which nothing is known."""
    return draft("layer", None, anonymous=True)


def model_draft(values: Mapping[str, Any], nested: Mapping[str, Any]) -> LayerList | None:
    """A list of layers with mistakes in some of its fields, or None if the layers themselves are not known."""
    found = nested.get("layers") or values.get("layers")
    if not isinstance(found, tuple):
        return None
    known: dict[str, Any] = {"layers": found, "outputs": values.get("outputs") or ()}
    return LayerList(**known)
