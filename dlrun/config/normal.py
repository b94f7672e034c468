"""Short forms written out, and files laid over one another."""

from __future__ import annotations

from typing import Any

from dlrun.config.language import Choice, Form, Items, Rows, Section, fields
from dlrun.config.node import Node, copy
from dlrun.errors import Path
from dlrun.graph.architecture import Model
from dlrun.models.native import KEYS as NATIVE_KEYS
from dlrun.models.native import TARGET
from dlrun.recipe import Recipe

CHOICE_PATHS: tuple[Path, ...] = tuple(
    path
    for name, f in fields(Recipe).items()
    for path, form in [
        ((name,), f.form),
        *(((name, n), s.form) for n, s in (fields(f.form.cls).items() if isinstance(f.form, Section) else ())),
    ]
    if isinstance(form, Choice) or (isinstance(form, Section) and form.named)
)
"""Sections that are chosen by name: another name means other fields."""


def expand(form: Form, node: Node) -> Node:
    """The same with every short form written out: names become mappings with fields."""
    value: Any = node.value
    if isinstance(form, Choice) and form.inline:
        if isinstance(value, dict):
            _expand_fields(_class(form, node), node)
    elif isinstance(form, Choice) or (isinstance(form, Section) and form.named):
        if isinstance(value, str):
            node = Node(_named(value, node), node.where)
        elif isinstance(value, dict) and isinstance(form, Section):
            name = value.get("name")
            if name is not None and isinstance(name.value, str):
                node.value = {**_named(name.value, name), **{k: v for k, v in value.items() if k != "name"}}
        if isinstance(node.value, dict):
            _name_native(form, node)
            _name_default(form, node)
            _expand_fields(_class(form, node), node)
    elif isinstance(form, Section):
        if isinstance(value, dict):
            _expand_fields(form.cls, node)
    elif isinstance(form, Items) and isinstance(value, list):
        node.value = [_item(form, item) for item in value]
    elif isinstance(form, Rows) and isinstance(value, list):
        node.value = [expand(Section(form.cls), item) for item in value]
    return node


def _name_native(form: Choice | Section, node: Node) -> None:
    """Write out the name of a model that is given by `_target_`, or by `torch` and `tensorflow`."""
    if isinstance(form, Section) or form.base is not Model or "name" in node.value:
        return
    if not NATIVE_KEYS & node.value.keys():
        return
    known = fields(form.registry.get("native"))
    if TARGET in node.value:
        own = {key: child for key, child in node.value.items() if key not in known}
        beside = {key: child for key, child in node.value.items() if key in known}
        node.value = {**beside, "target": Node(own, node.value[TARGET].where)}
    node.value = {"name": Node("native", node.where), **node.value}


def _name_default(form: Choice | Section, node: Node) -> None:
    """Write out the name that a key of the default choice alone implies: ``layers`` in a model."""
    if isinstance(form, Section) or form.registry.default is None or "name" in node.value:
        return
    implying = set(fields(form.registry.get(form.registry.default))) - set(fields(form.base))
    if key := next((key for key in node.value if key in implying), None):
        node.value = {"name": Node(form.registry.default, node.value[key].where), **node.value}


def _named(text: str, node: Node) -> dict[str, Node]:
    name, colon, index = text.partition(":")
    if colon and index.isdigit():  # cuda:1
        return {"name": Node(name, node.where), "index": Node(int(index), node.where)}
    return {"name": Node(text, node.where)}


def _class(form: Choice | Section, node: Node) -> type | None:
    if isinstance(form, Section):
        return form.cls
    name = node.value.get("name")
    return form.registry.get(name.value) if name is not None and name.value in form.registry else None


def _expand_fields(cls: type | None, node: Node) -> None:
    known = fields(cls) if cls is not None else {}
    for key, child in node.value.items():
        if key in known:
            node.value[key] = expand(known[key].form, child)


def _item(form: Items, node: Node) -> Node:
    if isinstance(node.value, str):
        return Node({node.value: Node({}, node.where)}, node.where)
    if isinstance(node.value, dict) and len(node.value) == 1:
        (kind, body), *_ = node.value.items()
        if body.value is None:
            node.value[kind] = body = Node({}, body.where)
        if kind in form.registry and isinstance(body.value, dict):
            _expand_fields(form.registry.get(kind), body)
    return node


def merge(base: Node, over: Node, path: Path = ()) -> Node:
    """``over`` laid over ``base``: mappings join, lists and scalars replace, another choice replaces whole."""
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return copy(over)
    if path in CHOICE_PATHS and differs(base, over):
        return copy(over)
    joined = dict(base.value)
    for key, child in over.value.items():
        joined[key] = merge(joined[key], child, (*path, key)) if key in joined else copy(child)
    return Node(joined, over.where)


def differs(base: Node, over: Node) -> bool:
    """Whether ``over`` names another choice than ``base``."""
    old, new = base.value.get("name"), over.value.get("name")
    return old is not None and new is not None and old.value != new.value


def form_at(path: Path) -> Form:
    """What may stand at a path of sections."""
    form: Form = Section(Recipe)
    for part in path:
        assert isinstance(form, Section)
        form = fields(form.cls)[str(part)].form
    return form
