"""The recipe language as JSON Schema, for editors; read off the same classes that check a recipe."""

from __future__ import annotations

import inspect
import re
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt

from dlrun.config.catalog import Catalog
from dlrun.config.language import REGISTRIES, Choice, Field, Form, Items, Rows, Section, fields
from dlrun.config.written import plain
from dlrun.graph.architecture import Model
from dlrun.models.native import TARGET
from dlrun.recipe import Recipe

Schema = dict[str, Any]
_REFERENCE: Schema = {"$ref": "#/$defs/reference"}
_BOUNDS = {Gt: ("gt", "exclusiveMinimum"), Ge: ("ge", "minimum"), Lt: ("lt", "exclusiveMaximum"), Le: ("le", "maximum")}


def schema() -> Schema:
    """JSON Schema (draft 2020-12) of a recipe file."""
    writer = _Writer()
    root = writer.mapping(Recipe)
    # the file's name is the recipe's, the task gives loss and metrics, groups give the rest
    root.pop("required", None)
    properties = root["properties"]
    options = [{"const": name} for name in Catalog().options("train")]
    properties["train"] = {**properties["train"], "anyOf": [{"anyOf": options}, {"$ref": "#/$defs/Train"}]}
    properties["train"].pop("$ref", None)
    properties["defaults"] = {
        "description": "Hydra's defaults list, e.g. `- override /optimizer: adam`, or another recipe to start from.",
        "type": "array",
    }
    properties["hydra"] = {"description": "Settings of Hydra's sweeps.", "type": "object"}
    # of a recipe that starts from no other one
    data = {**properties["data"], "required": writer.definitions["Data"].pop("required")}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "dlrun recipe",
        **root,
        "anyOf": [{"required": ["data", "model"], "properties": {"data": data}}, {"required": ["defaults"]}],
        "$defs": {
            "reference": {"description": "A reference, e.g. `${data.classes}`.", "type": "string", "pattern": r"\$\{"},
            **dict(sorted(writer.definitions.items())),
        },
    }


class _Writer:
    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}

    def mapping(self, cls: type, name: str | None = None) -> Schema:
        """A section's or choice's fields; ``name`` is the choice's own, if it is written inside."""
        said = descriptions(cls)
        properties: Schema = {}
        if name is not None:
            properties["name"] = {"const": name}
        required = ["name"] if name is not None else []
        for key, field in fields(cls).items():
            properties[key] = self.field(field, said.get(key))
            if field.required:
                required.append(key)
        result: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
        summary = (inspect.getdoc(cls) or "").partition("\n")[0]
        if summary:
            result["description"] = summary
        if required:
            result["required"] = required
        return result

    def field(self, field: Field, description: str | None) -> Schema:
        """One key."""
        result = self.form(field.form)
        if description:
            result = {"description": description, **result}
        if not field.required:
            default = plain(field.form, field.default)
            if not isinstance(default, dict):
                result["default"] = default
        return result

    def form(self, form: Form) -> Schema:
        """What may stand at a place."""
        if isinstance(form, Section):
            result = self._section(form)
        elif isinstance(form, Choice):
            result = self._define(form.base.__name__, lambda: self._choice(form))
        elif isinstance(form, Items):
            item = self._define(f"{form.base.__name__}Item", lambda: self._item(form))
            result = {"type": "array", "items": item}
        elif isinstance(form, Rows):
            result = {"type": "array", "items": self._define(form.cls.__name__, lambda: self.mapping(form.cls))}
        else:
            return _or_reference(leaf(form.type))
        return {"anyOf": [result, {"type": "null"}]} if form.optional else result

    def _define(self, name: str, make: Any) -> Schema:
        if name not in self.definitions:
            self.definitions[name] = {}  # layers hold layers
            self.definitions[name] = make()
        return {"$ref": f"#/$defs/{name}"}

    def _section(self, form: Section) -> Schema:
        name = form.cls.__name__
        reference = self._define(name, lambda: self.mapping(form.cls))
        if not form.named:
            return reference
        options = leaf(fields(form.cls)["name"].form.type)  # type: ignore[union-attr]
        short: Schema = options
        if name == "Device":
            short = {"anyOf": [options, {"type": "string", "pattern": r"^cuda:\d+$"}]}
        elif name == "BackendChoice":
            from dlrun.backends import BACKENDS

            short = {"enum": list(BACKENDS)}
        return {"anyOf": [_or_reference(short), reference]}

    def _choice(self, form: Choice) -> Schema:
        classes = [form.registry.get(name) for name in form.registry]
        short = [{"const": cls.kind, "description": _summary(cls)} for cls in classes]
        if form.inline:
            return {"anyOf": [*short, _REFERENCE, *(self.mapping(cls, cls.kind) for cls in classes)]}
        every: Schema = {}
        meant = form.registry.default  # what a mapping without a name is; else a choice made elsewhere
        for cls in classes if meant is None else [form.registry.get(meant)]:
            for key, field in fields(cls).items():
                every.setdefault(key, self.field(field, descriptions(cls).get(key)))
                every[key].pop("default", None)
        plainly = {
            "type": "object",
            "properties": every,
            "additionalProperties": False,
            "not": {"required": ["name"]},
        }
        native: list[Schema] = []
        if form.base is Model:  # a model of one's own, whose arguments only it knows
            target = {"description": "What to call, `package.module.Name`; its arguments beside it.", "type": "string"}
            native = [{"type": "object", "required": [TARGET], "properties": {TARGET: target}}]
            native.append(self.mapping(form.registry.get("native")))
        return {"anyOf": [*short, _REFERENCE, *(self.mapping(cls, cls.kind) for cls in classes), plainly, *native]}

    def _item(self, form: Items) -> Schema:
        classes = [form.registry.get(name) for name in form.registry]
        alone = [
            {"const": cls.kind, "description": _summary(cls)}
            for cls in classes
            if not any(f.required for f in fields(cls).values())
        ]
        bodies = {}
        for cls in classes:
            body = self._define(f"{form.base.__name__}_{cls.kind}", lambda cls=cls: self.mapping(cls))
            empty = not any(f.required for f in fields(cls).values())
            bodies[cls.kind] = {"description": _summary(cls), "anyOf": [body, {"type": "null"}] if empty else [body]}
        one: Schema = {
            "type": "object",
            "properties": bodies,
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        }
        return {"anyOf": [*alone, one]}


def _or_reference(schema: Schema) -> Schema:
    if schema.get("type") == "string" and len(schema) == 1 or not schema:
        return schema
    options = schema["anyOf"] if set(schema) == {"anyOf"} else [schema]
    return {"anyOf": [*options, _REFERENCE]}


def leaf(hint: Any) -> Schema:
    """JSON Schema of a plain type."""
    origin = get_origin(hint)
    if origin is Annotated:
        result = leaf(hint.__origin__)
        for bound in hint.__metadata__:
            if type(bound) in _BOUNDS:
                attribute, keyword = _BOUNDS[type(bound)]
                result[keyword] = getattr(bound, attribute)
        return result
    if origin in (Union, types.UnionType):
        return {"anyOf": [leaf(a) for a in get_args(hint)]}
    if origin is Literal:
        return {"enum": list(get_args(hint))}
    if origin is tuple:
        args = get_args(hint)
        if len(args) == 2 and args[1] is Ellipsis:
            return {"type": "array", "items": _or_reference(leaf(args[0]))}
        items = [_or_reference(leaf(a)) for a in args]
        return {"type": "array", "prefixItems": items, "items": False, "minItems": len(args)}
    if origin is dict:
        return {"type": "object", "additionalProperties": leaf(get_args(hint)[1])}
    names: dict[Any, str] = {int: "integer", float: "number", bool: "boolean", str: "string", type(None): "null"}
    return {"type": names[hint]} if hint in names else {}


def _summary(cls: type) -> str:
    return (inspect.getdoc(cls) or "").partition("\n")[0]


def descriptions(cls: type) -> dict[str, str]:
    """What the ``Args`` of a class and of those it extends say of each field."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if base in REGISTRIES or base is cls or base.__module__.startswith("dlrun."):
            found.update(_args(base.__dict__.get("__doc__") or ""))
    return found


def _args(text: str) -> dict[str, str]:
    lines = inspect.cleandoc(text).splitlines()
    if "Args:" not in lines:
        return {}
    found: dict[str, str] = {}
    last = None
    for line in lines[lines.index("Args:") + 1 :]:
        if line and not line.startswith(" "):
            break
        entry = re.match(r"^    (\w+): (.*)$", line)
        if entry:
            last = entry[1]
            found[last] = entry[2].strip()
        elif last is not None and line.strip():
            found[last] += " " + line.strip()
    return found
