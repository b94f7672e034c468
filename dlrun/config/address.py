"""Which place in a recipe a dotted key means; layers are found by index, own name or automatic name."""

from __future__ import annotations

from dlrun.config.language import Choice, Form, Items, Leaf, Rows, Section, fields
from dlrun.config.leaf import takes_mapping
from dlrun.config.node import Node
from dlrun.errors import DlrunError, Path, did_you_mean
from dlrun.recipe import Recipe


def resolve(key: str, tree: Node) -> tuple[Path, Form | None]:
    """The path that ``key`` means, and what may stand there (None when the key is not known).

    Raises:
        DlrunError: ``unknown-item`` for an index or name that no item has, ``wrong-layer`` and the like.
    """
    return _Walk(key).run(tree)


def pinned(key: str, tree: Node) -> str:
    """``key`` with the name of an item of ``tree`` replaced by its index, so that it outlives changes to the list."""
    parts = key.split(".")
    for n in range(1, len(parts) + 1):
        try:
            path, _ = resolve(".".join(parts[:n]), tree)
        except DlrunError:
            return key  # another override may yet make it valid; else it is reported when it is applied
        if path and isinstance(path[-1], int):
            return ".".join([*parts[: n - 1], str(path[-1]), *parts[n:]])
    return key


class _Walk:
    def __init__(self, key: str) -> None:
        self.key = key
        self.parts = key.split(".")
        self.path: Path = ()

    def run(self, tree: Node) -> tuple[Path, Form | None]:
        form: Form | None = Section(Recipe)
        node: Node | None = tree
        while self.parts and form is not None:
            if isinstance(form, Items):
                form, node = self._item(form, node)
            elif isinstance(form, Section):
                form, node = self._field(form.cls, node)
            elif isinstance(form, Choice):
                form, node = self._choice(form, node)
            elif isinstance(form, Rows):
                form, node = self._row(form, node)
            else:
                return self._leaf(form, node)
        path = (*self.path, *self.parts)
        return path, form

    def _step(self, part: str | int, node: Node | None) -> Node | None:
        self.path = (*self.path, part)
        return node.child(part) if node is not None else None

    def _field(self, cls: type, node: Node | None) -> tuple[Form | None, Node | None]:
        known = fields(cls)
        if self.parts[0] not in known:
            return None, None
        part = self.parts.pop(0)
        return known[part].form, self._step(part, node)

    def _choice(self, form: Choice, node: Node | None) -> tuple[Form | None, Node | None]:
        if self.parts == ["name"]:
            return None, None
        name = node.child("name") if node is not None else None
        chosen = form.registry.default if name is None else name.value
        if chosen is None or chosen not in form.registry:
            return None, None
        cls = form.registry.get(chosen)
        rest = getattr(cls, "rest", None)
        if rest is not None and self.parts[0] not in fields(cls):
            self.parts.insert(0, rest)
        return self._field(cls, node)

    def _item(self, form: Items, node: Node | None) -> tuple[Form | None, Node | None]:
        items = node.value if node is not None and isinstance(node.value, list) else []
        index = find_item(form, items, self.parts.pop(0), self.path, self.key)
        item = self._step(index, node)
        if not self.parts:
            return form, item  # the whole item; see ``expand_item``
        if item is None or not isinstance(item.value, dict) or len(item.value) != 1:
            return None, None
        (kind, body), *_ = item.value.items()
        if kind not in form.registry:
            return None, None
        cls = form.registry.get(kind)
        own = fields(cls)
        if self.parts[0] == kind and kind not in own:
            self.parts.pop(0)
            self._step(kind, item)
            if not self.parts:
                return Section(cls), body
        elif self.parts[0] not in own and self.parts[0] in form.registry:
            raise DlrunError(
                f"wrong-{form.registry.role}",
                f"`{'.'.join(map(str, self.path))}` is a `{kind}`, not a `{self.parts[0]}`.",
                path=self.path,
                hint=f"Its fields: {', '.join(f'`{n}`' for n in own)}.",
            )
        elif self.parts[0] not in own and "layers" in own and len(self.parts) > 1:
            self._step(kind, item)  # block.conv2d_1 for block.layers.conv2d_1
            return own["layers"].form, self._step("layers", body)
        else:
            self._step(kind, item)
        return self._field(cls, body)

    def _row(self, form: Rows, node: Node | None) -> tuple[Form | None, Node | None]:
        rows = node.value if node is not None and isinstance(node.value, list) else []
        part = self.parts.pop(0)
        if not part.isdigit() or int(part) >= len(rows):
            place = ".".join(map(str, self.path))
            raise DlrunError(
                "unknown-item",
                f"`{part}` is not an index of `{place}`, which has {len(rows)} items.",
                path=self.path,
                hint=f"Indices run from 0 to {len(rows) - 1}." if rows else f"Set `{place}=[…]` whole.",
            )
        return Section(form.cls), self._step(int(part), node)

    def _leaf(self, form: Leaf, node: Node | None) -> tuple[Path, Form | None]:
        part = self.parts[0]
        if node is not None and isinstance(node.value, list) and part.isdigit():
            if int(part) >= len(node.value):
                place, count = ".".join(map(str, self.path)), len(node.value)
                raise DlrunError(
                    "unknown-item",
                    f"`{part}` is not an index of `{place}`, which has {count} items.",
                    path=self.path,
                    hint=f"Indices run from 0 to {len(node.value) - 1}." if node.value else None,
                )
            self._step(int(part), node)
            self.parts.pop(0)
            return (*self.path, *self.parts), None
        if takes_mapping(form.type) if node is None else isinstance(node.value, dict):
            return (*self.path, *self.parts), None
        raise DlrunError(
            "unknown-key",
            f"`{'.'.join(map(str, self.path))}` is a plain value and has no `{part}`.",
            path=self.path,
            hint="Set it whole.",
        )


def names_of(form: Items, items: list[Node]) -> list[str]:
    """Each item's name: its own, or its kind and a running number as the model's table shows it."""
    names: list[str] = []
    count: dict[str, int] = {}
    for item in items:
        kind, body = "?", None
        if isinstance(item.value, dict) and len(item.value) == 1:
            (kind, body), *_ = item.value.items()
        own = body.child("name") if body is not None and isinstance(body.value, dict) else None
        if own is not None and isinstance(own.value, str):
            names.append(own.value)
            continue
        while True:
            count[kind] = count.get(kind, 0) + 1
            name = f"{kind}_{count[kind]}"
            if name not in names:
                break
        names.append(name)
    return names


def find_item(form: Items, items: list[Node], ref: str, path: Path, key: str) -> int:
    """Index of the item that ``ref`` (index or name) means."""
    names = names_of(form, items)
    if ref.isdigit() and int(ref) < len(items):
        return int(ref)
    if ref in names:
        return names.index(ref)
    kinds = [next(iter(i.value), "") if isinstance(i.value, dict) else "" for i in items]
    if kinds.count(ref) == 1 and form.registry.role != "layer":
        return kinds.index(ref)
    role, place = form.registry.role, ".".join(map(str, path))
    if not items:
        raise DlrunError(
            f"unknown-{role}-reference",
            f"`{place}` has no items, so there is no `{ref}`.",
            path=path,
            hint=f"Set `{place}=[…]` whole.",
        )
    listed = ", ".join(f"{i} `{n}`" for i, n in enumerate(names))
    close = did_you_mean(ref, names, "") if not ref.isdigit() and len(names) else ""
    close = close if close.startswith("Did") else ""
    raise DlrunError(
        f"unknown-{role}-reference",
        f"`{ref}` is not the index or name of a {role} in `{place}`.",
        path=path,
        hint=f"{close} There are: {listed}.".strip(),
    )
