"""What a recipe can say, read off the classes that define it: for ``dlrun layers`` and the reference pages.

Nothing here is written by hand: meaning, formula, fields and sources are the docstrings, types and defaults
of the described classes; which backend has what is read off the lowerings' sources, without loading a framework.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import inspect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlrun.errors import DlrunError, nearest, one_of
from dlrun.registry import Registry

HEADINGS = ("Args", "Shapes", "Weights", "Errors", "Differs", "Source")
NATIVE, COMPOSED = "native", "composed"


@dataclass(frozen=True)
class Entry:
    """One thing a recipe can name.

    Args:
        role: ``layer``, ``loss``, …
        kind: Its name in a recipe.
        cls: The class that describes it.
        summary: Its first line.
        meaning: What follows: formula and symbols.
        sections: Text under each heading of its docstring.
    """

    role: str
    kind: str
    cls: type
    summary: str
    meaning: str
    sections: dict[str, str]

    @property
    def family(self) -> str:
        """The file that describes it, as a heading: ``recurrent``."""
        return self.cls.__module__.rpartition(".")[2].replace("_", " ")

    def fields(self) -> list[tuple[str, str, str, str]]:
        """(name, type, default, meaning) of every field that is its own."""
        return [row for row in rows(self.cls) if row[0] not in COMMON.get(self.role, ())]

    def example(self) -> str | None:
        """A line of a recipe that uses it, where its class has an example."""
        from dlrun.config.snippet import example

        return example(self.cls, self.kind, self.role)


def rows(cls: type) -> list[tuple[str, str, str, str]]:
    """(name, type, default, meaning) of every field of a class."""
    from dlrun.config.json_schema import descriptions
    from dlrun.config.language import fields

    said = descriptions(cls)
    return [
        (
            name,
            _type(field.form),
            "required" if field.required else _shown(field.default),
            said.get(name, "").replace("``", "`"),
        )
        for name, field in fields(cls).items()
    ]


COMMON = {
    "layer": ("name", "inputs", "trainable", "share"),
    "architecture": ("outputs", "initializers", "freeze", "regularizers", "constraints", "weights"),
}
"""Fields that every entry of a role has; they are told once."""


@dataclass(frozen=True)
class Key:
    """One key, and what has it with this meaning.

    Args:
        name: As a recipe writes it.
        role: ``layer``, ``loss``, …
        type: What may stand there.
        default: When it is left out; ``varies`` where that depends on the owner.
        meaning: From the docstring.
        owners: What has it; empty where everything of the role does.
    """

    name: str
    role: str
    type: str
    default: str
    meaning: str
    owners: tuple[str, ...] = ()


def common(role: str) -> list[Key]:
    """The keys that everything of a role has."""
    from dlrun.graph import Layer, Model

    base = {"layer": Layer, "architecture": Model}.get(role)
    return [] if base is None else [Key(row[0], role, *row[1:]) for row in rows(base)]


def keys(name: str) -> list[Key]:
    """Every meaning of a key, by role; none where nothing has a key of that name."""
    found = [key for role in COMMON for key in common(role) if key.name == name]
    for registry in registries().values():
        meanings: dict[str, Key] = {}
        of = entries(registry)
        for e in of:
            for row in e.fields():
                if row[0] == name:
                    known = meanings.get(row[3])
                    meanings[row[3]] = _joined(known, Key(name, e.role, *row[1:], owners=(e.kind,)))
        # a key of everything is no key of some
        found += [dataclasses.replace(k, owners=()) if len(k.owners) == len(of) else k for k in meanings.values()]
    return found


def _joined(known: Key | None, other: Key) -> Key:
    if known is None:
        return other
    default = known.default if known.default == other.default else "varies"
    return dataclasses.replace(known, default=default, owners=(*known.owners, *other.owners))


def registries() -> dict[str, Registry[Any]]:
    """What there is to choose from, by the heading of its page."""
    from dlrun.data.augmentation import augmentations
    from dlrun.data.source import sources
    from dlrun.data.transforms import transforms
    from dlrun.graph import layers, models
    from dlrun.initializers import initializers
    from dlrun.losses import losses
    from dlrun.metrics.metric import metrics
    from dlrun.optimizers import optimizers
    from dlrun.schedules import schedules

    return {
        "layers": layers,
        "architectures": models,
        "losses": losses,
        "optimizers": optimizers,
        "schedules": schedules,
        "initializers": initializers,
        "metrics": metrics,
        "transforms": transforms,
        "augmentations": augmentations,
        "sources": sources,
    }


def entries(registry: Registry[Any]) -> list[Entry]:
    """Everything registered, by family and name."""
    found = [entry(registry, kind) for kind in registry]
    return sorted(found, key=lambda e: (e.family, e.kind))


def entry(registry: Registry[Any], kind: str) -> Entry:
    """One registered class, its docstring taken apart."""
    cls = registry.get(kind)
    lines = (inspect.getdoc(cls) or "").splitlines()
    sections: dict[str, list[str]] = {"": []}
    current = ""
    for line in lines[1:]:
        heading = re.match(rf"^({'|'.join(HEADINGS)}):\s*(.*)$", line)
        if heading:
            current = heading[1]
            sections[current] = [heading[2]]
        else:
            sections[current].append(line.strip())
    texts = {name: " ".join(" ".join(body).split()) for name, body in sections.items()}
    meaning = "\n".join(sections[""]).strip()
    return Entry(registry.role, kind, cls, lines[0] if lines else "", meaning, {k: v for k, v in texts.items() if k})


def find(name: str) -> list[Entry]:
    """Every entry called ``name``, whatever its role.

    Raises:
        DlrunError: ``unknown-name`` with the nearest ones.
    """
    every = registries()
    found = [entry(registry, name) for registry in every.values() if name in registry]
    if not found:
        names = sorted(
            {kind for registry in every.values() for kind in registry} | {n for ns in COMMON.values() for n in ns}
        )
        meant = [*(n for registry in every.values() for n in registry.known(name)), *nearest(name, names)]
        raise DlrunError(
            "unknown-name",
            f"`{name}` is not a layer, loss, optimizer or anything else that a recipe can name.",
            hint=f"{one_of(list(dict.fromkeys(meant)))} List them: dlrun layers".strip(),
        )
    return found


@functools.cache
def support(cls: type, backend: str) -> str:
    """How a backend has a layer, loss or optimizer: ``native``, ``composed`` of other layers, or why not."""
    from dlrun.graph import Composite

    if issubclass(cls, Composite):
        return COMPOSED
    lowered, refused = lowerings(Path(__file__).parent / "backends" / backend)
    name = f"{cls.__module__}.{cls.__qualname__}"
    if name in lowered:
        return NATIVE
    return refused.get(name, "no lowering")


@functools.cache
def lowerings(folder: Path) -> tuple[frozenset[str], dict[str, str]]:
    """Classes that a backend's sources lower, and those that its ``UNSUPPORTED`` names with a reason, by full name."""
    lowered: set[str] = set()
    refused: dict[str, str] = {}
    for path in sorted(folder.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        names = _imported(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "lowers":
                lowered |= {_full(argument, names) for argument in node.args}
            elif isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                if isinstance(target, ast.Name) and target.id == "UNSUPPORTED":
                    for key, reason in zip(node.value.keys, node.value.values, strict=True):
                        if key is not None:
                            refused[_full(key, names)] = ast.literal_eval(reason)
    return frozenset(lowered), refused


def _imported(tree: ast.Module) -> dict[str, str]:
    """Full names of what a module imports."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.asname or alias.name: alias.name for alias in node.names}
    return names


def _full(node: ast.expr, names: dict[str, str]) -> str:
    """The full name of a class as a source names it, where it is defined."""
    first, *rest = ast.unparse(node).split(".")
    dotted = ".".join((names.get(first, first), *rest))
    module, _, name = dotted.rpartition(".")
    try:
        cls = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        return dotted
    return f"{cls.__module__}.{cls.__qualname__}"


def _type(form: Any) -> str:
    from dlrun.config.language import Items, Leaf, Rows
    from dlrun.config.leaf import describe

    if isinstance(form, Leaf):
        return describe(form.type)
    if isinstance(form, Items):
        return f"list of {form.registry.role}s"
    if isinstance(form, Rows):
        return "list of mappings"
    return str(form.registry.role) if hasattr(form, "registry") else "mapping"


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(_shown(v) for v in value) + "]"
    kind = getattr(value, "kind", None)
    return kind if isinstance(kind, str) else str(value)


def pages() -> Iterator[tuple[str, str]]:
    """(file name, Markdown) of every page of the reference."""
    every = {title: entries(registry) for title, registry in registries().items()}
    yield "README.md", _index(every)
    for title, found in every.items():
        yield f"{title}.md", _page(title, found)


def _index(every: dict[str, list[Entry]]) -> str:
    lines = ["# Reference", "", "What a recipe can name. These pages are written by `dlrun layers --write FOLDER`.", ""]
    for title, found in every.items():
        lines += [f"## [{title.capitalize()}]({title}.md)", ""]
        lines += [", ".join(f"[`{e.kind}`]({title}.md#{e.kind})" for e in sorted(found, key=lambda e: e.kind)), ""]
        shared = _common(found[0].role)
        if shared:
            lines += [f"{shared.replace('(#', f'({title}.md#')}", ""]
    return "\n".join(lines)


def _page(title: str, found: list[Entry]) -> str:
    from dlrun.backends import BACKENDS

    lines = [f"# {title.capitalize()}", ""]
    if title in ("layers", "losses", "optimizers"):
        lines += [f"| name | what it is | {' | '.join(BACKENDS)} |", f"|---|---|{'---|' * len(BACKENDS)}"]
        for e in found:
            how = " | ".join(support(e.cls, backend) for backend in BACKENDS)
            lines.append(f"| [`{e.kind}`](#{e.kind}) | {e.summary} | {how} |")
        lines.append("")
    shared = common(found[0].role)
    if shared:
        lines += [f"## Keys of every {found[0].role}", ""]
        lines += _table([(key.name, key.type, key.default, key.meaning) for key in shared])
    families = list(dict.fromkeys(e.family for e in found))
    for family in families:
        if len(families) > 1:
            lines += [f"## {family.capitalize()}", ""]
        for e in found:
            if e.family == family:
                lines += _section(e)
    return "\n".join(lines)


def _section(e: Entry) -> list[str]:
    lines = [f"### {e.kind}", "", e.summary, ""]
    if e.meaning:
        lines += [e.meaning, ""]
    shown = e.example()
    if shown is not None:
        lines += ["```yaml", shown, "```", ""]
    if e.fields():
        lines += _table(e.fields())
    lines += [f"- **{name}**: {e.sections[name]}" for name in HEADINGS[1:] if e.sections.get(name)]
    shared = _common(e.role)
    return [*lines, *([f"- {shared}"] if shared else []), ""]


def _common(role: str) -> str:
    """Where the keys that everything of a role has are told."""
    if role not in COMMON:
        return ""
    return f"[Keys of every {role}](#keys-of-every-{role}): {', '.join(f'`{name}`' for name in COMMON[role])}."


def _table(fields: Sequence[tuple[str, str, str, str]]) -> list[str]:
    lines = ["| field | type | default | meaning |", "|---|---|---|---|"]
    lines += ["| " + " | ".join(_cell(c) for c in (f"`{n}`", t, d, m)) + " |" for n, t, d, m in fields]
    return [*lines, ""]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
