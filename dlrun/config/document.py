"""One YAML file, read with the place of every key; mistakes of syntax are located."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import yaml

from dlrun.config.node import Node
from dlrun.errors import DlrunError, DlrunErrors, Where

_FLOAT = re.compile(
    r"""^(?:[-+]?[0-9]+(?:_[0-9]+)*\.[0-9_]*(?:[eE][-+]?[0-9]+)?
    |[-+]?[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+)
    |[-+]?\.[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+)?
    |[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$""",
    re.X,
)
_INT = re.compile("^[-+]?(?:0|[1-9][0-9_]*|0x[0-9a-fA-F][0-9a-fA-F_]*|0b[01][01_]*)$")
_MOST_VALUES = 100_000
_MOST_LEVELS = 100
_MOST_BITS = 4096
"""Of an integer; a limit before Python's own, which depends on how it is written."""


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads scalars as the command line does: ``1e-3`` is a number; a date, ``010`` and ``1:30`` are text."""


Loader.yaml_implicit_resolvers = {
    key: [(tag, rule) for tag, rule in rules if tag.rsplit(":", 1)[1] not in ("timestamp", "float", "int", "value")]
    for key, rules in Loader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))
Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))


def shown(path: str | Path) -> str:
    """A file as messages name it: relative when it lies below the working directory."""
    full = os.path.abspath(path)
    relative = os.path.relpath(full)
    return full if relative.startswith("..") else relative


def read(path: Path) -> Node:
    """The file's content as a mapping; an empty file is an empty mapping.

    Raises:
        DlrunErrors: ``yaml-syntax``, ``duplicate-key``, ``unreadable-file``.
    """
    return parse(text_of(path), shown(path))


def text_of(path: Path) -> str:
    """The file's text.

    Raises:
        DlrunErrors: ``unreadable-file``, ``yaml-syntax``.
    """
    name = shown(path)
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DlrunErrors([DlrunError("unreadable-file", f"`{name}` cannot be read: {reason}.")]) from None
    except UnicodeDecodeError as error:
        where = Where(name, text_line(path, error.start))
        raise DlrunErrors(
            [DlrunError("yaml-syntax", "the file is not UTF-8 text.", where=where, hint="Save it as UTF-8.")]
        ) from None


def text_line(path: Path, offset: int) -> int:
    """Number of the line that holds the byte at ``offset``."""
    return path.read_bytes()[:offset].count(b"\n") + 1


def parse(text: str, name: str) -> Node:
    """The same for text that came from ``name``."""
    loader = Loader(text)
    try:
        try:
            root = loader.get_single_node()
            reader = _Reader(loader, name)
            node = Node({}, Where(name, 1, 1)) if root is None else reader.node(root)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise DlrunErrors([_syntax(error, name, text)]) from None
    except RecursionError:  # of the parser, before there is a place to name
        raise DlrunErrors([_too_deep(Where(name, 1, 1))]) from None
    if not isinstance(node.value, dict):
        if node.value is None:
            return Node({}, Where(name, 1, 1))
        raise DlrunErrors(
            [
                DlrunError(
                    "yaml-syntax",
                    "the file must be a mapping of keys to values.",
                    where=Where(name, 1, 1),
                    hint="Write `key: value`, one a line.",
                )
            ]
        )
    if reader.errors:
        raise DlrunErrors(reader.errors)
    return node


def scalar(text: str) -> Any:
    """Text as a plain YAML value: a number, a truth value, null, or itself."""
    loader = Loader("")
    try:
        return _constructed(loader, yaml.ScalarNode(loader.resolve(yaml.ScalarNode, text, (True, False)), text))
    except ValueError:
        return text
    finally:
        loader.dispose()


def _constructed(loader: Any, node: yaml.ScalarNode) -> Any:
    """The value of a scalar; ValueError for one that its tag does not fit."""
    try:
        value = loader.construct_object(node)
    except (KeyError, AttributeError, OverflowError) as error:  # `!!bool maybe`, `!!timestamp soon`
        raise ValueError from error
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        raise ValueError
    return value


def _too_deep(where: Where) -> DlrunError:
    return DlrunError(
        "yaml-syntax",
        f"values are nested deeper than {_MOST_LEVELS} levels.",
        where=where,
        hint="Close brackets, or write it flatter.",
    )


def _syntax(error: yaml.YAMLError, name: str, text: str) -> DlrunError:
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or "a character that YAML does not allow").strip().rstrip(".")
    where = Where(name, mark.line + 1, mark.column + 1) if mark else Where(name)
    lines = text.splitlines()
    if "constructor for the tag" in problem:
        tag = problem.rsplit("'", 2)[1].replace("tag:yaml.org,2002:", "!!")
        problem, hint = f"the tag `{tag}` is not allowed", "Write plain values."
    elif mark and mark.line < len(lines) and "\t" in lines[mark.line][: mark.column + 1]:
        hint = "Indent with spaces, not tabs."
    elif "expected a single document" in str(getattr(error, "context", "")) + problem:
        problem, hint = "a second document starts", "Write one recipe per file, without `---`."
    elif "mapping values" in problem:
        hint = "Put text that contains `: ` in quotes, and check the indentation."
    else:
        hint = "Check indentation, quotes and brackets here and on the line before."
    return DlrunError("yaml-syntax", f"not valid YAML: {problem}.", where=where, hint=hint)


class _Reader:
    def __init__(self, loader: Any, name: str) -> None:
        self.loader = loader
        self.name = name
        self.errors: list[DlrunError] = []
        self.values = 0
        self.above: list[yaml.Node] = []

    def where(self, node: yaml.Node) -> Where:
        return Where(self.name, node.start_mark.line + 1, node.start_mark.column + 1)

    def node(self, node: yaml.Node, where: Where | None = None) -> Node:
        where = where or self.where(node)
        if isinstance(node, yaml.ScalarNode):
            return Node(self._scalar(node, where), where)
        if any(node is above for above in self.above):
            raise DlrunErrors([DlrunError("yaml-syntax", "an anchor contains itself.", where=where)])
        if len(self.above) >= _MOST_LEVELS:
            raise DlrunErrors([_too_deep(where)])
        self.above.append(node)
        if isinstance(node, yaml.MappingNode):
            self._check_keys(node)
            self.loader.flatten_mapping(node)
            self._count(len(node.value), where)
            # a merge key (<<) puts its entries first, so that later ones win
            read = Node({self._key(k): self.node(v, self.where(k)) for k, v in node.value}, where)
        else:
            self._count(len(node.value), where)
            read = Node([self.node(item) for item in node.value], where)
        self.above.pop()
        return read

    def _scalar(self, node: yaml.ScalarNode, where: Where) -> Any:
        try:
            return _constructed(self.loader, node)
        except ValueError:
            kind = node.tag.replace("tag:yaml.org,2002:", "!!")
            text = node.value if len(node.value) <= 60 else node.value[:57] + "…"
            self.errors.append(
                DlrunError(
                    "yaml-syntax",
                    f"`{text}` cannot be read as `{kind}`.",
                    where=self.where(node),
                    hint="Write a number of fewer digits." if kind == "!!int" else "Write a plain value.",
                )
            )
            return None

    def _count(self, values: int, where: Where) -> None:
        self.values += values
        if self.values > _MOST_VALUES:
            text = f"with its aliases written out the file has more than {_MOST_VALUES:,} values."
            raise DlrunErrors([DlrunError("yaml-syntax", text, where=where, hint="Use fewer aliases (`*name`).")])

    def _key(self, node: yaml.Node) -> str:
        # keys are names: `on` or `1` stay as written
        return str(node.value) if isinstance(node, yaml.ScalarNode) else str(node.tag)

    def _check_keys(self, node: yaml.MappingNode) -> None:
        first: dict[str, yaml.Node] = {}
        for key, _ in node.value:
            name = self._key(key)
            if not isinstance(key, yaml.ScalarNode):
                self.errors.append(
                    DlrunError("yaml-syntax", "a key must be a plain name.", where=self.where(key), hint="Quote it.")
                )
            elif name in first and key.tag != "tag:yaml.org,2002:merge":
                line = first[name].start_mark.line + 1
                self.errors.append(
                    DlrunError(
                        "duplicate-key",
                        f"`{name}` is written twice in one mapping (first on line {line}).",
                        where=self.where(key),
                        hint="Remove one of them.",
                    )
                )
            first.setdefault(name, key)
