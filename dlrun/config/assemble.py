"""Hydra's defaults list, and the files in its order laid over one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dlrun.config import files
from dlrun.config.catalog import CHOICES, RECIPE, Catalog
from dlrun.config.document import shown
from dlrun.config.files import File
from dlrun.config.language import Choice, Section, fields
from dlrun.config.leaf import written
from dlrun.config.node import Node, Unresolved
from dlrun.config.normal import expand, form_at, merge
from dlrun.config.overrides import Override
from dlrun.config.written import plain
from dlrun.errors import DlrunError, DlrunErrors, Where
from dlrun.errors import Path as Place
from dlrun.recipe import Recipe

DEFAULT_RECIPE = "digits"


@dataclass
class Assembled:
    """The merged files.

    Args:
        tree: Every key that was written.
        recipe: The recipe's file.
        notes: What a choice on the command line dropped.
        errors: Options that are not there, and choices that contradict each other.
        unknown: Groups whose option is not there.
    """

    tree: Node
    recipe: File
    notes: list[str] = field(default_factory=list)
    errors: list[DlrunError] = field(default_factory=list)
    unknown: frozenset[str] = frozenset()


def assemble(choices: Sequence[Override], catalog: Catalog) -> Assembled:
    """Compose groups and recipe; ``choices`` are overrides of groups, one per group.

    Raises:
        DlrunErrors: Recipes and files that are not there or not well written.
    """
    return _Assembly(choices, catalog).run()


class _Assembly:
    def __init__(self, choices: Sequence[Override], catalog: Catalog) -> None:
        self.catalog = catalog
        self.recipe = next((o for o in choices if o.key == RECIPE), None)
        self.choices = {o.key: o for o in choices if o.key in CHOICES}
        self.others = [o for o in choices if o.key not in (*CHOICES, RECIPE)]
        self.files: dict[str, File] = {}
        self.dropped: dict[tuple[Path, str], tuple[str, str]] = {}
        self.errors: list[DlrunError] = []
        self.unknown: dict[str, Where] = {}

    def run(self) -> Assembled:
        name = self.recipe.value if self.recipe is not None else DEFAULT_RECIPE
        self._check_options(name)
        lineage = self._lineage(f"{RECIPE}/{name}", {})
        recipe = lineage[-1]
        written = self._chosen(lineage)
        defaults, known = self._defaults(name, written)
        old = dict(known)
        if self.choices:
            defaults, _ = self._defaults(name, {**written, **{g: o.value for g, o in self.choices.items()}})
        switched = {g: o for g, o in self.choices.items() if old.get(g) != o.value}
        tree, notes = self._merge(defaults, switched, old)
        for group, o in self.choices.items():
            section = tree.child(group)
            if section is not None and isinstance(section.value, dict) and "name" in section.value:
                section.where = o.where
                section.value["name"].where = o.where
        for group, where in self.unknown.items():
            if group in CHOICES:
                tree.value[group] = Node(Unresolved(), where)
        tree.where = Where(shown(recipe.path), 1, 1)
        return Assembled(tree, recipe, notes, self.errors, frozenset(self.unknown))

    def _check_options(self, recipe: str) -> None:
        """Note the options that are not there, and go on without them; without the recipe nothing can be said."""
        for o in [*self.choices.values(), *self.others]:
            if not o.delete and (not isinstance(o.value, str) or not self._exists(o.key, o.value)):
                self._no_option(o.key, written(o.value), o.where)
        self.choices = {group: o for group, o in self.choices.items() if group not in self.unknown}
        self.others = [o for o in self.others if o.key not in self.unknown]
        if not isinstance(recipe, str) or self.catalog.find_recipe(recipe) is None:
            where = self.recipe.where if self.recipe is not None else None
            raise DlrunErrors([*self.errors, files.unknown_option(RECIPE, written(recipe), self.catalog, where)])

    def _no_option(self, group: str, option: str, where: Where) -> None:
        error = files.unknown_option(group, option, self.catalog, where)
        error.path = error.path or tuple(group.split("/"))
        self.errors.append(error)
        self.unknown[group] = where

    def _exists(self, group: str, option: str) -> bool:
        return self.catalog.find(f"{group}/{option}") is not None

    def _file(self, config: str) -> File:
        if config not in self.files:
            path = self.catalog.find(config)
            assert path is not None, config
            self.files[config] = files.load(path, config, self.catalog)
        return self.files[config]

    def _lineage(self, config: str, above: dict[Path, Where]) -> list[File]:
        """A recipe and those that it inherits from, itself last."""
        file = self._file(config)
        place = file.path.resolve()
        if place in above:
            raise DlrunErrors(
                [
                    DlrunError(
                        "bad-defaults",
                        f"`{shown(file.path)}` inherits from itself.",
                        where=above[place],
                        hint="Remove the entry, or give one of the two recipes another name.",
                    )
                ]
            )
        found: list[File] = []
        for further, where in file.inherits.items():
            found += [f for f in self._lineage(further, {**above, place: where}) if f not in found]
        return [*found, file]

    def _chosen(self, lineage: Sequence[File]) -> dict[str, str]:
        """Options that recipes choose, in a section of their own or in ``defaults``; the last recipe decides.

        Sections that an ``override`` replaces are noted in ``dropped``.
        """
        options: dict[str, str] = {g: n.value for g, n in self._file("config").overrides.items() if g in CHOICES}
        found: dict[str, str] = {}
        for number, file in enumerate(lineage):
            for group in CHOICES:
                listed = file.overrides.get(group)
                if listed is not None:
                    if options.get(group) != listed.value:
                        for other in lineage[:number]:
                            replaced = (str(options.get(group)), listed.value)
                            self.dropped.setdefault((other.path, group), replaced)
                    options[group] = found[group] = listed.value
                node = file.train if group == "train" else _name(file.body, group)
                if node is None or not isinstance(node.value, str) or "${" in node.value:
                    continue
                options[group] = node.value
                if listed is not None and listed.value != node.value:
                    self.errors.append(
                        DlrunError(
                            "contradiction",
                            f"`{group}` is `{node.value}` here but `{listed.value}` in `defaults`.",
                            path=(group,),
                            where=node.where,
                            hint="Keep one of them.",
                        )
                    )
                if self._exists(group, node.value):
                    found[group] = node.value
                elif group == "train" and group not in self.unknown:
                    self._no_option(group, node.value, node.where)
        return found

    def _defaults(self, recipe: str, options: dict[str, str]) -> tuple[list[tuple[str, str]], dict[str, str | None]]:
        """The defaults list as (config, package) in order, and the option of each group."""
        from hydra import version
        from hydra._internal.defaults_list import create_defaults_list
        from hydra.core.override_parser.types import Override as HydraOverride
        from hydra.core.override_parser.types import OverrideType, ValueType
        from hydra.errors import HydraException

        from dlrun.config.hydra_source import Repository

        version.setbase("1.3")
        wanted = [(RECIPE, recipe, OverrideType.CHANGE), *((g, v, OverrideType.CHANGE) for g, v in options.items())]
        for o in self.others:
            kind = OverrideType.DEL if o.delete else (OverrideType.ADD if o.add else OverrideType.CHANGE)
            wanted.append((o.key, o.value, kind))
        overrides = [HydraOverride(kind, group, ValueType.ELEMENT, value) for group, value, kind in wanted]
        try:
            found = create_defaults_list(Repository(self.catalog), "config", overrides, False, False)
        except (HydraException, ValueError, AssertionError, RecursionError) as error:
            raise DlrunErrors([self._failed(error, recipe)]) from None
        return [(d.config_path or "", d.package or "") for d in found.defaults], dict(found.overrides.known_choices)

    def _failed(self, error: Exception, recipe: str) -> DlrunError:
        text = str(error)
        where = Where(shown(self._file(f"{RECIPE}/{recipe}").path))
        root = self.catalog.find("config")
        if root is not None and root.parent != self.catalog.conf and "Could not override" in text:
            return DlrunError(
                "bad-defaults",
                "this `config.yaml` stands in for dlrun's own, but its `defaults` do not list every group.",
                where=Where(shown(root)),
                hint=f"List {', '.join(f'`{g}`' for g in (*CHOICES, RECIPE))} with an option each, or remove the file.",
            )
        for o in self.others:
            if f"'{o.key}'" in text:
                return DlrunError(
                    "unknown-group",
                    f"`{o.key}` is not a group that every recipe has.",
                    where=o.where,
                    hint=f"Add it: `+{o.key}={o.value}`." if not o.delete else "Leave it out.",
                )
        reasons = {
            "must be at the end": "an `override` stands before another entry; overrides come last.",
            "_self_": "`_self_` stands there twice.",
            "more than once": "a group is listed twice.",
            "Multiple values": "a group is given two options; use `override`.",
            "Could not override": "an `override` names a group that is not in any defaults list above it.",
        }
        reason = next((r for key, r in reasons.items() if key in text), "its entries do not fit together.")
        if isinstance(error, RecursionError):
            reason = "a file that it names inherits from itself."
        return DlrunError("bad-defaults", f"the list `defaults` cannot be composed: {reason}", where=where)

    def _merge(
        self, defaults: list[tuple[str, str]], switched: dict[str, Override], old: dict[str, str | None]
    ) -> tuple[Node, list[str]]:
        tree = Node({}, Where())
        notes = []
        for config, package in defaults:
            body = self._placed(config, package)
            for group in CHOICES:
                replaced = self.dropped.get((self._file(config).path, group))
                if replaced is not None and group in body.value:
                    before, option = replaced
                    text = f"override /{group}: {option}"
                    notes += dropped(text, before, body.value.pop(group), choice_class((group,), option))
            for group, o in switched.items():
                section = body.value.get(group)
                if section is not None and not config.startswith(f"{group}/"):
                    del body.value[group]
                    notes += dropped(o.text, str(old.get(group)), section, choice_class((group,), o.value))
            tree = merge(tree, body)
        return tree, notes

    def _placed(self, config: str, package: str) -> Node:
        body = self._file(config).body
        parts = [] if package in ("", "_global_") else package.split(".")
        for part in reversed(parts):
            body = Node({part: body}, body.where)
        if parts:
            return expand(Section(Recipe), body)
        return Node({key: self._meant(key, section) for key, section in body.value.items()}, body.where)

    def _meant(self, group: str, section: Node) -> Node:
        """A section whose name is an option of a group, with the name that the option's file gives it."""
        name = section.child("name") if group in CHOICES else None
        if name is None or not isinstance(name.value, str) or not self._exists(group, name.value):
            return section
        own = self._file(f"{group}/{name.value}").body.child("name")
        return section if own is None else Node({**section.value, "name": Node(own.value, name.where)}, section.where)


def _name(body: Node, group: str) -> Node | None:
    section = body.child(group)
    if section is None or not isinstance(section.value, dict):
        return None
    return section.value.get("name")


def dropped(text: str, old: str, section: Node, cls: type | None) -> list[str]:
    """One note saying which written fields a choice on the command line dropped, or none.

    Args:
        text: The override.
        old: The choice it replaces.
        section: What was written for the old choice.
        cls: The new choice's class; a field that keeps its value by default is not worth a word.
    """
    known = fields(cls) if cls is not None else {}
    lost = []
    for path, leaf in section.leaves():
        same = bool(path) and path[0] in known and plain(known[path[0]].form, known[path[0]].default) == leaf.plain()
        if path and path != ("name",) and not same:
            lost.append((path, leaf))
    if not lost:
        return []
    listed = ", ".join(f"{'.'.join(map(str, path))}={written(leaf.plain())} ({leaf.where})" for path, leaf in lost)
    return [f"`{text}` replaces `{old}` and drops what was written for it: {listed}."]


def choice_class(path: Place, name: str) -> type | None:
    """The class that a choice of this name has, if it is known."""
    form = form_at(path)
    if isinstance(form, Choice):
        return form.registry.get(name) if name in form.registry else None
    return form.cls if isinstance(form, Section) else None
