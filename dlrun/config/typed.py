"""From a tree of nodes to typed sections; every mistake is collected with its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from dlrun.config.document import scalar
from dlrun.config.drafts import layer_draft, model_draft, no_layer
from dlrun.config.language import Choice, Field, Form, Items, Leaf, Rows, Section, fields
from dlrun.config.leaf import check, describe, written
from dlrun.config.node import FromEnvironment, Node, Unresolved
from dlrun.data.augmentation import Augmentation
from dlrun.data.transforms import Transform
from dlrun.errors import DlrunError, DlrunErrors, Path, did_you_mean, dotted, nearest
from dlrun.graph.architecture import LayerList, Model
from dlrun.graph.layer import Layer, layers
from dlrun.recipe import BackendChoice, Data, Recipe, Train


class _Broken:
    """Stands for a part whose mistakes have been collected."""


BROKEN = _Broken()


class Typing:
    """Builds typed values and collects what is wrong with them.

    Args:
        extended: Whether the recipe brings files with layers of its own.
    """

    def __init__(self, extended: bool = True) -> None:
        self.errors: list[DlrunError] = []
        self.extended = extended
        self.drafts: dict[Path, Any] = {}
        """What is known of layers, lists of them, the model and other sections where they have mistakes."""
        self.unread: set[Path] = set()
        """Fields of which the value is not known: wrong ones, and those that a misspelt key may mean."""

    def fail(self, code: str, message: str, path: Path, hint: str | None = None) -> _Broken:
        """Collect a mistake."""
        self.errors.append(DlrunError(code, message, path=path, hint=hint))
        return BROKEN

    def value(self, form: Form, node: Node, path: Path) -> Any:
        """What stands at ``path``, typed, or ``BROKEN``."""
        if isinstance(node.value, Unresolved):
            return BROKEN
        if isinstance(form, Leaf):
            return self._leaf(form, node, path)
        if node.value is None and form.optional:
            return None
        if isinstance(form, Section):
            return self._section(form, node, path)
        if isinstance(form, Choice):
            return self._inline(form, node, path) if form.inline else self._choice(form, node, path)
        if isinstance(form, Rows):
            return self._rows(form, node, path)
        return self._items(form, node, path)

    def _leaf(self, form: Leaf, node: Node, path: Path) -> Any:
        if any(isinstance(leaf.value, Unresolved) for _, leaf in node.leaves()):
            return BROKEN
        value = node.plain()
        try:
            return check(str(value) if isinstance(value, FromEnvironment) else value, form.type, path)
        except DlrunErrors as several:
            if isinstance(value, FromEnvironment):
                with suppress(DlrunErrors):
                    return check(scalar(value), form.type, path)
            if path == ("data", "sampling") and isinstance(value, dict):
                shares = written(list(value.values()))
                several.errors[0].hint = f"Write a list of shares, one for each class in their order: `{shares}`."
            self.errors += several.errors
            return BROKEN

    def _section(self, form: Section, node: Node, path: Path) -> Any:
        if node.value is None:
            node = Node({}, node.where)
        if not isinstance(node.value, dict):
            return self.fail(
                "wrong-type",
                f"`{path[-1]}` must be a mapping, got `{written(node.plain())}`.",
                path,
                "Its keys: " + ", ".join(f"`{name}`" for name in fields(form.cls)) + ".",
            )
        return self.build(form.cls, node, path, str(path[-1]))

    def _choice(self, form: Choice, node: Node, path: Path) -> Any:
        registry = form.registry
        if not isinstance(node.value, dict):
            return self.fail(
                "wrong-type",
                f"`{path[-1]}` must be the name of one {registry.role} or a mapping with `name`, "
                f"got `{written(node.plain())}`.",
                path,
                "Write a list of layers below `model.layers`."
                if form.base is Model and isinstance(node.value, list)
                else did_you_mean("", registry),
            )
        name = node.value.get("name")
        if (name is None or name.value is None) and registry.default is not None:
            name = Node(registry.default, node.where)
        if name is None or name.value is None:
            return self.fail(
                "missing-key",
                f"`{path[-1]}` needs `name`: which {registry.role}.",
                path,
                "Valid: " + ", ".join(f"`{n}`" for n in registry) + ".",
            )
        if isinstance(name.value, Unresolved):
            return BROKEN
        try:
            cls = registry.get(name.plain(), (*path, "name"))
        except DlrunError as error:
            self.errors.append(error)
            return BROKEN
        rest = Node({k: v for k, v in node.value.items() if k != "name"}, node.where)
        return self.build(cls, rest, path, cls.kind, extra=("name",))

    def _inline(self, form: Choice, node: Node, path: Path) -> Any:
        named = isinstance(node.value, str)
        try:
            if named:
                form.registry.get(node.value, path)
        except DlrunError as error:
            self.errors.append(error)
            return BROKEN
        made = self._choice(form, Node({"name": node}, node.where) if named else node, path)
        required = any(field.required for field in fields(type(made)).values()) if made is not BROKEN else True
        return made.kind if not required and made == type(made)() else made

    def _rows(self, form: Rows, node: Node, path: Path) -> Any:
        keys = ", ".join(f"`{name}`" for name in fields(form.cls))
        if not isinstance(node.value, list):
            return self.fail(
                "wrong-type",
                f"`{path[-1]}` must be a list of mappings, got `{written(node.plain())}`.",
                path,
                f"Write one a line, each after `- `. Keys: {keys}.",
            )
        rows = []
        for i, row in enumerate(node.value):
            if isinstance(row.value, Unresolved):
                rows.append(BROKEN)
            elif isinstance(row.value, dict):
                rows.append(self.build(form.cls, row, (*path, i), str(path[-1])))
            else:
                text = f"an item of `{path[-1]}` must be a mapping, got `{written(row.plain())}`."
                rows.append(self.fail("wrong-type", text, (*path, i), f"Its keys: {keys}."))
        return BROKEN if any(row is BROKEN for row in rows) else tuple(rows)

    def _items(self, form: Items, node: Node, path: Path) -> Any:
        if not isinstance(node.value, list):
            return self.fail(
                "wrong-type",
                f"`{path[-1]}` must be a list, got `{written(node.plain())}`.",
                path,
                f"Write `{path[-1]}: [{written(node.plain())}]`."
                if isinstance(node.value, str)
                else "Write one item a line, each after `- `.",
            )
        items = [self._item(form, item, (*path, i)) for i, item in enumerate(node.value)]
        if not any(item is BROKEN for item in items):
            return tuple(items)
        if form.base is Layer:
            known = [self.drafts.get((*path, i)) or no_layer() for i in range(len(items))]
            self.drafts[path] = tuple(
                draft if item is BROKEN else item for item, draft in zip(items, known, strict=True)
            )
        elif form.base in (Augmentation, Transform):  # the base itself changes nothing
            self.drafts[path] = tuple(form.base() if item is BROKEN else item for item in items)
        return BROKEN

    def _item(self, form: Items, node: Node, path: Path) -> Any:
        registry = form.registry
        if isinstance(node.value, Unresolved):
            return BROKEN
        if not isinstance(node.value, dict) or len(node.value) != 1:
            return self._no_item(form, node, path)
        (name, body), *_ = node.value.items()
        try:
            cls = registry.get(name, path)
        except DlrunError as error:
            self.errors.append(error)
            if registry.role == "layer":
                error.hint = self._no_such_layer(name, error.hint)
                self._wiring(name, body, (*path, name))
            return BROKEN
        if body.value is None:
            body = Node({}, body.where)
        if not isinstance(body.value, dict):
            return self.fail(
                "wrong-type",
                f"`{name}` takes named fields, got `{written(body.plain())}`.",
                (*path, name),
                _example(cls, body),
            )
        return self.build(cls, body, (*path, name), name)

    def _no_such_layer(self, name: object, hint: str | None) -> str:
        names = ", ".join(f"`{n}`" for n in layers)
        if self.extended or layers.meant(name):
            return f"{hint or ''} Layers: {names}.".strip()
        return f"For a layer of your own, name its file: `extensions: [file.py]`. Layers of dlrun: {names}."

    def _wiring(self, kind: str, body: Node, path: Path) -> None:
        """Keep what every layer says of itself, of one whose kind there is not."""
        written = body.value if isinstance(body.value, dict) else {}
        values = {k: self.value(f.form, written[k], (*path, k)) for k, f in fields(Layer).items() if k in written}
        self._draft(kind, values, path)

    def _draft(self, kind: str, values: dict[str, Any], path: Path) -> None:
        broken = {name for name, value in values.items() if value is BROKEN}
        good = {name: value for name, value in values.items() if name not in broken}
        nested = {name: self.drafts[*path, name] for name in broken if (*path, name) in self.drafts}
        self.drafts[path[:-1]] = layer_draft(kind, good, broken, nested)

    def _no_item(self, form: Items, node: Node, path: Path) -> Any:
        one = form.registry.one
        if isinstance(node.value, dict) and len(node.value) > 1:
            names = list(node.value)
            kinds = [n for n in names if n in form.registry]
            if len(kinds) == 1:
                rest = ", ".join(f"`{n}`" for n in names if n != kinds[0])
                return self.fail(
                    "wrong-type",
                    f"{one} is one key; {rest} stand beside `{kinds[0]}`.",
                    path,
                    f"Indent the fields below `{kinds[0]}:`, or write `- {kinds[0]}: {{…}}`.",
                )
            return self.fail(
                "wrong-type",
                f"{one} is one key, got {', '.join(f'`{n}`' for n in names)}.",
                path,
                "Start each with its own `- `.",
            )
        return self.fail(
            "wrong-type",
            f"{one} is a name or a mapping with one key, got `{written(node.plain())}`.",
            path,
            "Write `- name` or `- name: {field: value}`.",
        )

    def build(self, cls: type, node: Node, path: Path, owner: str, extra: tuple[str, ...] = ()) -> Any:
        """An instance of ``cls`` from a mapping, or ``BROKEN``."""
        known = fields(cls)
        values: dict[str, Any] = {}
        for key, child in node.value.items():
            if key in known:
                values[key] = self.value(known[key].form, child, (*path, key))
            else:
                values[key] = self.unknown(key, [*known, *extra], (*path, key), owner, _below(known, node, key))
        for name, field in known.items():
            if field.required and name not in values:
                values[name] = self.missing(field, (*path, name), owner)
        self.unread |= {(*path, name) for name, value in values.items() if value is BROKEN}
        if any(v is BROKEN for v in values.values()):
            self._keep(cls, values, path)
            return BROKEN
        try:
            return cls(**values)
        except DlrunErrors as several:
            found = list(several.errors)
        except DlrunError as one:
            found = [one]
        for error in found:
            error.path = (*path, *error.path)
        self.errors += found
        self._keep(cls, values, path)
        return BROKEN

    def _keep(self, cls: type, values: dict[str, Any], path: Path) -> None:
        """Keep what is known of a layer, a list of layers or the data that is not right."""
        if issubclass(cls, Layer):
            self._draft(cls.kind, values, path)
        elif issubclass(cls, LayerList):
            good = {name: value for name, value in values.items() if value is not BROKEN}
            self.drafts[path] = model_draft(good, {"layers": self.drafts.get((*path, "layers"))})
        # what would be looked at: without a file that the recipe names, the data is not what it will be
        elif cls is Data and all(values.get(name) is not BROKEN for name in ("files", "source", "root", "download")):
            known = {name: self.drafts.get((*path, name)) if v is BROKEN else v for name, v in values.items()}
            if "source" in known:
                self.drafts[path] = Data(**{name: value for name, value in known.items() if value is not None})
        elif cls in (Train, BackendChoice):
            self.drafts[path] = cls(**{name: value for name, value in values.items() if value is not BROKEN})

    def unknown(self, key: str, valid: list[str], path: Path, owner: str, below: Sequence[str] = ()) -> _Broken:
        """Collect ``unknown-key``; ``below`` are sections of the owner that have such a key."""
        listed = "Valid: " + ", ".join(f"`{n}`" for n in valid) + "." if valid else f"`{owner}` has no fields."
        meant = nearest(key, valid) or [n for n in valid if _initials(n) == key]  # lr, bs
        elsewhere = [dotted((*path[:-1], name, key)) for name in below]
        if len(path) == 1:
            elsewhere = _elsewhere(lambda name: name == key)
            meant = [] if elsewhere else meant  # `workers` is `data.workers`, not a misspelt `tracker`
            elsewhere = elsewhere or _elsewhere(lambda name: _initials(name) == key)
        self.unread |= {(*path[:-1], name) for name in meant}
        hint = f"Did you mean `{(meant or elsewhere)[0]}`? {listed}" if meant or elsewhere else listed
        return self.fail("unknown-key", f"`{key}` is not a key of `{owner}`.", path, hint)

    def missing(self, field: Field, path: Path, owner: str) -> _Broken:
        """Collect ``missing-key``."""
        if isinstance(field.form, Leaf):
            what = f"Write `{field.name}:` with {describe(field.form.type)}."
        elif isinstance(field.form, Choice):
            what = "Valid: " + ", ".join(f"`{n}`" for n in field.form.registry) + "."
        else:
            what = f"Add `{field.name}:`."
        return self.fail("missing-key", f"`{owner}` needs `{field.name}`.", path, what)


def _initials(name: str) -> str:
    return "".join(word[:1] for word in name.split("_"))


def _below(known: Mapping[str, Field], node: Node, key: str) -> list[str]:
    """Fields of a section that are sections with such a key: ``source`` for a ``train`` written beside it."""
    found = []
    for name, field in known.items():
        form, child = field.form, node.child(name)
        kind = child.child("name") if child is not None and isinstance(form, Choice) else None
        if isinstance(form, Section):
            cls: Any = form.cls
        elif isinstance(form, Choice) and kind is not None and kind.value in form.registry:
            cls = form.registry.get(kind.value)
        else:
            continue
        found += [name] if key in fields(cls) else []
    return found


def _elsewhere(wanted: Callable[[str], bool]) -> list[str]:
    """Such keys of sections, e.g. ``train.epochs``: one of them may have been written outside of its section."""
    found: dict[str, str] = {}
    for section, field in fields(Recipe).items():
        form = field.form
        classes: list[Any] = [form.cls] if isinstance(form, Section) else []
        if isinstance(form, Choice):
            classes = [form.registry.get(kind) for kind in form.registry]
        found.update({f"{section}.{name}": name for cls in classes for name in fields(cls)})
    return [path for path, name in found.items() if wanted(name)]


_OF_EVERY_LAYER = ("name", "inputs", "trainable", "share")


def _example(cls: type, body: Node) -> str:
    names = [name for name, f in fields(cls).items() if isinstance(f.form, Leaf) and name not in _OF_EVERY_LAYER]
    kind = cls.kind  # type: ignore[attr-defined]
    return f"Write `{kind}: {{{names[0]}: {written(body.plain())}}}`." if names else f"Write `- {kind}`."
