"""A configuration value that remembers where it was written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dlrun.errors import Path, Where


class Unresolved:
    """Stands for a value whose interpolation failed; its own error has been reported."""


class FromEnvironment(str):
    """Text of an environment variable; it is read as a number where one belongs."""


@dataclass
class Node:
    """A scalar, mapping or list with its place.

    Args:
        value: A scalar, ``dict[str, Node]`` or ``list[Node]``.
        where: Place of the key (of a mapping's entry) or of the item (of a list).
    """

    value: Any
    where: Where

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def get(self, path: Sequence[str | int]) -> Node | None:
        """The node at ``path`` below this one, or None."""
        node: Node | None = self
        for part in path:
            node = node.child(part) if node is not None else None
        return node

    def child(self, part: str | int) -> Node | None:
        """An entry or item, or None."""
        found: Node | None = None
        if isinstance(self.value, dict):
            found = self.value.get(part)
        elif isinstance(self.value, list) and isinstance(part, int) and 0 <= part < len(self.value):
            found = self.value[part]
        return found

    def put(self, path: Sequence[str | int], node: Node) -> None:
        """Set ``path``, making mappings on the way."""
        at = self
        for part in path[:-1]:
            below = at.child(part)
            if below is None or not isinstance(below.value, dict | list):
                below = Node({}, node.where)
                at._assign(part, below)
            at = below
        at._assign(path[-1], node)

    def _assign(self, part: str | int, node: Node) -> None:
        if isinstance(self.value, list):
            assert isinstance(part, int)
            self.value[part] = node
        else:
            self.value[str(part)] = node

    def leaves(self, path: Path = ()) -> list[tuple[Path, Node]]:
        """Every scalar, empty mapping and list of scalars, with its path."""
        if isinstance(self.value, dict) and self.value:
            return [leaf for key, child in self.value.items() for leaf in child.leaves((*path, key))]
        if isinstance(self.value, list) and any(isinstance(c.value, dict | list) for c in self.value):
            return [leaf for i, child in enumerate(self.value) for leaf in child.leaves((*path, i))]
        return [(path, self)]

    def locate(self, path: Path) -> Where:
        """The place of ``path`` or of its nearest ancestor that is written."""
        node = self
        where = self.where
        for part in path:
            below = node.child(part)
            if below is None:
                break
            node, where = below, below.where
        return where


def of(value: Any, where: Where) -> Node:
    """Wrap a plain value; every part gets the same place."""
    if isinstance(value, dict):
        return Node({str(k): of(v, where) for k, v in value.items()}, where)
    if isinstance(value, list | tuple):
        return Node([of(v, where) for v in value], where)
    return Node(value, where)


def copy(node: Node) -> Node:
    """A copy that shares nothing that can change."""
    if isinstance(node.value, dict):
        return Node({k: copy(v) for k, v in node.value.items()}, node.where)
    if isinstance(node.value, list):
        return Node([copy(v) for v in node.value], node.where)
    return Node(node.value, node.where)
