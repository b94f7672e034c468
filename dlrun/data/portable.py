"""Descriptions as JSON, for a process of one's own that prepares samples."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np

from dlrun.data.augmentation import Augmentation, augmentations
from dlrun.data.pipeline import Pipeline
from dlrun.data.preprocessing import Preprocessing
from dlrun.data.source import Column, Place, Signature, Source, sources
from dlrun.graph.tensor import TensorType
from dlrun.registry import Registry


def encode(source: Source, place: Place, pipeline: Pipeline) -> dict[str, Any] | None:
    """What another process needs to prepare training samples; None where it could not be the same there.

    Code of one's own is known to this process only, and a field may hold what JSON does not.
    """
    how = pipeline.preprocessing
    try:
        parts = {"source": _said(source), "augment": [_said(a) for a in pipeline.augment]}
    except _OwnCode:
        return None
    said = {
        "source": parts["source"],
        "root": place.root,
        "download": place.download,
        "known": None if place.known is None else signature_as_json(place.known),
        "pipeline": {
            "seed": pipeline.seed,
            "augment": parts["augment"],
            "preprocessing": [None if v is None else v.tolist() for v in (how.multiplier, how.offset, how.fill)],
            "input_dtype": pipeline.input_dtype,
            "label_dtype": pipeline.label_dtype,
            "mixed": pipeline.mixed,
            "top": pipeline.top,
        },
    }
    try:
        said = json.loads(json.dumps(said))
        again = decode(said)
    except (TypeError, ValueError):
        return None
    return said if again[0] == source and again[2].augment == pipeline.augment else None


def decode(said: dict[str, Any]) -> tuple[Source, Place, Pipeline]:
    """What was given to ``encode``."""
    known, of = said["known"], said["pipeline"]
    place = Place(said["root"], said["download"], None if known is None else signature_from_json(known))
    multiplier, offset, fill = (None if v is None else np.array(v) for v in of["preprocessing"])
    assert multiplier is not None and offset is not None
    augment = tuple(_made(augmentations, a) for a in of["augment"])
    how = Preprocessing(multiplier, offset, fill)
    return _made(sources, said["source"]), place, Pipeline(**{**of, "augment": augment, "preprocessing": how})


def signature_as_json(signature: Signature) -> dict[str, Any]:
    """A signature as JSON holds it."""
    return dataclasses.asdict(signature)


def signature_from_json(said: dict[str, Any]) -> Signature:
    """A signature from what ``signature_as_json`` gave.

    Raises:
        KeyError, TypeError: When it is something else.
    """
    known = {name: _tuples(value) for name, value in said.items()}
    known["input"], known["target"] = (_type(known[name]) for name in ("input", "target"))
    known["columns"] = tuple(Column(**_fields(column)) for column in known["columns"])
    return Signature(**known)


def _type(said: Any) -> TensorType:
    return TensorType(**_fields(said))


def _fields(said: dict[str, Any]) -> dict[str, Any]:
    return {name: _tuples(value) for name, value in said.items()}


class _OwnCode(Exception):
    """A part is described by code that another process does not know."""


def _said(spec: Any) -> dict[str, Any]:
    if not type(spec).__module__.startswith("dlrun."):
        raise _OwnCode
    return {"kind": spec.kind, "fields": {f.name: _value(getattr(spec, f.name)) for f in dataclasses.fields(spec)}}


def _value(value: Any) -> Any:
    if isinstance(value, Augmentation):
        return {_NESTED: _said(value)}
    return list(map(_value, value)) if isinstance(value, tuple) else value


def _made(registry: Registry[Any], said: dict[str, Any]) -> Any:
    return registry.get(said["kind"])(**_fields(said["fields"]))


_NESTED = "augmentation"


def _tuples(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {_NESTED}:
        return _made(augmentations, value[_NESTED])
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value
