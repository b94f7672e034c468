"""Value overrides, applied to the merged tree: set, replace whole, delete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dlrun.config.address import pinned, resolve
from dlrun.config.assemble import choice_class, dropped
from dlrun.config.language import Choice, Form, Items, Section
from dlrun.config.leaf import written
from dlrun.config.node import Node, of
from dlrun.config.normal import CHOICE_PATHS, expand, form_at
from dlrun.config.overrides import Override
from dlrun.errors import DlrunError, Path, dotted


@dataclass
class Applied:
    """What applying overrides brought to light.

    Args:
        notes: What the user should know.
        errors: Mistakes.
        deleted: Paths of keys that were deleted, and by which override.
    """

    notes: list[str] = field(default_factory=list)
    errors: list[DlrunError] = field(default_factory=list)
    deleted: list[tuple[Path, Override]] = field(default_factory=list)


def apply(tree: Node, overrides: Sequence[Override]) -> Applied:
    """Change ``tree`` in place."""
    return _Application(tree).run(overrides)


class _Application:
    def __init__(self, tree: Node) -> None:
        self.tree = tree
        self.result = Applied()
        self.notes, self.errors, self.deleted = self.result.notes, self.result.errors, self.result.deleted

    def run(self, overrides: Sequence[Override]) -> Applied:
        # choices first: they decide which fields there are
        later = [o for o in overrides if not self._choose(o)]
        # names and indices mean the recipe as it was written, whatever the other overrides do
        keys = [pinned(o.key, self.tree) for o in later]
        for o, key in zip(later, keys, strict=True):
            try:
                path, form = resolve(key, self.tree)
                if o.delete:
                    self._delete(o, path, form)
                else:
                    self._set(o, path, form)
            except DlrunError as error:
                error.where = o.where
                self.errors.append(error)
        self._remove()
        return self.result

    def _choose(self, o: Override) -> bool:
        """Whether ``o`` was a choice by name (``loss=mse``) and has been applied."""
        path: Path = tuple(o.key.removesuffix(".name").split("."))
        if o.delete or path not in CHOICE_PATHS:
            return False
        if not isinstance(o.value, str):
            return False
        new = expand(form_at(path), Node(o.value, o.where))
        old = self.tree.get(path)
        if old is not None and isinstance(old.value, dict):
            name = old.value.get("name")
            if name is not None and name.where.override not in (None, o.text):
                self._contradiction(o, name.where.override, path)
                return True
            if name is not None and name.value == new.value["name"].value:
                old.value.update(new.value)
                return True
            before = str(name.value) if name is not None else "the default"
            self.notes += dropped(o.text, before, old, choice_class(path, o.value))
        self.tree.put(path, new)
        return True

    def _set(self, o: Override, path: Path, form: Form | None) -> None:
        before = self.tree.get(path)
        for _, leaf in before.leaves() if before is not None else ():
            if leaf.where.override not in (None, o.text):
                self._contradiction(o, leaf.where.override, path)
                return
        for gone, other in self.deleted:
            if path[: len(gone)] == gone or gone[: len(path)] == path:
                self._contradiction(o, other.text, path)
                return
        node = of(o.value, o.where)
        if isinstance(form, Items) and path and isinstance(path[-1], int):
            node = expand(form, Node([node], o.where)).value[0]
        elif form is not None:
            node = expand(form, node)
        if isinstance(form, Choice | Section) and before is not None and isinstance(node.value, dict):
            self._note_loss(o, before, node)
        if isinstance(form, Choice | Section) and path in CHOICE_PATHS and isinstance(node.value, dict):
            name = before.child("name") if before is not None else None
            if "name" not in node.value and name is not None:
                node.value = {"name": name, **node.value}
        self.tree.put(path, node)

    def _note_loss(self, o: Override, before: Node, after: Node) -> None:
        lost = Node({k: v for k, v in before.value.items() if k not in after.value and k != "name"}, before.where)
        listed = ", ".join(f"{dotted(p)}={written(leaf.plain())} ({leaf.where})" for p, leaf in lost.leaves() if p)
        if listed:
            self.notes.append(f"`{o.text}` replaces `{o.key}` whole and drops {listed}.")

    def _delete(self, o: Override, path: Path, form: Form | None) -> None:
        node = self.tree.get(path)
        if node is None:
            if form is None:
                raise DlrunError("unknown-key", f"`{o.key}` is not a key of the recipe.", path=path)
            self.notes.append(f"`{o.text}` changes nothing: `{o.key}` is not set.")
            return
        for _, leaf in node.leaves():
            if leaf.where.override not in (None, o.text):
                self._contradiction(o, leaf.where.override, path)
                return
        if o.value is not None and node.plain() != o.value:
            raise DlrunError("contradiction", f"`{o.key}` is `{node.plain()}`, not `{o.value}`.", path=path)
        self.deleted.append((path, o))

    def _remove(self) -> None:
        # items last and from the end, so that indices stay what they were
        for path, _ in sorted(self.deleted, key=lambda d: [(isinstance(p, int), p) for p in d[0]], reverse=True):
            above = self.tree.get(path[:-1])
            if above is None:
                continue
            if isinstance(above.value, list):
                del above.value[path[-1]]  # type: ignore[arg-type]
            elif isinstance(above.value, dict):
                above.value.pop(path[-1], None)

    def _contradiction(self, o: Override, other: str | None, path: Path) -> None:
        self.errors.append(
            DlrunError(
                "contradiction",
                f"`{o.text}` and `{other}` both set `{o.key}`.",
                path=path,
                where=o.where,
                hint="Keep one of them.",
            )
        )
