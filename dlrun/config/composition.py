"""From a command line to a checked recipe and its plan; every mistake found is reported together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dlrun import extensions
from dlrun.config import interpolate
from dlrun.config.apply import Applied, apply
from dlrun.config.assemble import Assembled, assemble
from dlrun.config.catalog import catalog_of
from dlrun.config.document import shown
from dlrun.config.extending import adopt_overrides
from dlrun.config.files import no_tpu
from dlrun.config.language import Section, fields
from dlrun.config.node import Node, Unresolved, of
from dlrun.config.normal import expand
from dlrun.config.overrides import choices_and_values, parse, single
from dlrun.config.typed import BROKEN, Typing
from dlrun.config.written import values_of
from dlrun.data.source import Signature
from dlrun.errors import DlrunError, DlrunErrors, Path, Where, dotted
from dlrun.graph import Graph, UnusedLayers
from dlrun.losses import losses
from dlrun.models.native import TARGET
from dlrun.plan import Plan
from dlrun.recipe import Recipe
from dlrun.tasks.task import tasks


@dataclass(frozen=True)
class Composed:
    """A checked recipe.

    Args:
        recipe: Typed.
        plan: Everything a backend needs.
        values: Plain and complete, itself a valid recipe.
        origins: Where each value of ``values`` was written, by dotted path.
        notes: What the user should know, e.g. fields that a choice on the command line dropped.
        overrides: The command line.
        file: The recipe's file.
        place: Gives errors the place in the recipe that their path means.
    """

    recipe: Recipe
    plan: Plan
    values: dict[str, Any]
    origins: dict[str, str]
    notes: tuple[str, ...]
    overrides: tuple[str, ...]
    file: str
    place: Callable[[Sequence[DlrunError]], None] = dataclasses.field(repr=False, compare=False)

    @contextmanager
    def placing(self) -> Iterator[None]:
        """Mistakes that show only after composing, as in a file of weights, get the place that their path means."""
        try:
            yield
        except DlrunError as error:
            several = error.errors if isinstance(error, DlrunErrors) else (error,)
            self.place([one for one in several if one.path and one.path[0] in self.values])
            raise


def compose(
    overrides: Sequence[str],
    *,
    config_dir: str | None = None,
    smoke: bool = False,
    check_installed: bool = True,
    known: Signature | None = None,
    read_data: bool = True,
) -> Composed:
    """Compose groups, recipe and overrides into a checked recipe.

    Args:
        overrides: ``key=value``, as on the command line.
        config_dir: The user's own folder of groups and recipes.
        smoke: Whether to shorten the run to a dry one.
        check_installed: Whether a backend that is not installed is a mistake.
        known: What a run found in its training data.
        read_data: Whether the data is looked at even where it is known.

    Raises:
        DlrunErrors: Every mistake found, each with its place.
    """
    extensions.begin()
    catalog = catalog_of(config_dir)
    parsed = parse(overrides, catalog)
    single(parsed)
    choices, values = choices_and_values(parsed)
    assembled = assemble(choices, catalog)
    values = [o for o in values if o.key.split(".")[0] not in assembled.unknown]
    if adopt_overrides(values):
        expand(Section(Recipe), assembled.tree)  # with the layers that they add
    applied = apply(assembled.tree, values)
    if smoke:
        _shorten(assembled.tree, applied)
    composition = _Composition(assembled, applied, check_installed, known, read_data)
    recipe, plan = composition.run()
    full = values_of(recipe)
    return Composed(
        recipe,
        plan,
        full,
        _origins(full, assembled.tree),
        (*assembled.notes, *applied.notes, *plan.signature.notes),
        tuple(overrides),
        shown(assembled.recipe.path),
        composition.place,
    )


def _shorten(tree: Node, applied: Applied) -> None:
    """The dry run; what the command line sets itself stays."""
    where = Where(override="--smoke")

    def free(path: Path) -> bool:
        node, section = tree.get(path), tree.get(path[:1])
        if section is not None and not isinstance(section.value, dict | None):
            return False  # a mistake, which is reported as it stands
        deleted = any(path[: len(gone)] == gone for gone, _ in applied.deleted)
        return not deleted and (node is None or node.where.override is None)

    for path, value in ((("train", "epochs"), 1), (("train", "limit_batches"), 8)):
        if free(path):
            tree.put(path, Node(value, where))
    held = tree.get(("data", "validation"))
    if held is not None and isinstance(held.value, int) and held.value > 256 and free(("data", "validation")):
        tree.put(("data", "validation"), Node(256, where))


_TARGET = ("model", "target")


class _Composition:
    """Typing, data signature, references and plan, with all that goes wrong on the way."""

    def __init__(
        self,
        assembled: Assembled,
        applied: Applied,
        check_installed: bool,
        known: Signature | None,
        read_data: bool,
    ) -> None:
        self.tree = assembled.tree
        self.file = assembled.recipe.path
        self.errors = [*assembled.errors, *applied.errors]
        self.deleted = applied.deleted
        self.check_installed = check_installed
        extended = self.tree.child("extensions")
        self.typing = Typing(extended is not None and bool(extended.value))
        self.no_task = False
        self.known, self.read_data = known, read_data
        self.stored = known
        """The signature of samples before augmentations and transforms."""

    def run(self) -> tuple[Recipe, Plan]:
        self._defaults()
        built: dict[str, Any] = {}
        signature = self._data(built)
        self._references(signature)
        self._sections(built)
        recipe = None if any(v is BROKEN for v in built.values()) else Recipe(**built)
        plan = self._plan(built, recipe, signature)
        self._backend(built)
        self._raise()
        assert recipe is not None and plan is not None
        return recipe, plan

    def _compares_nothing(self) -> bool:
        """Whether the loss reads something else than what labels are compared with."""
        loss = self.tree.child("loss")
        named = loss.child("name") if loss is not None and isinstance(loss.value, dict) else loss
        name = None if named is None else named.value
        return isinstance(name, str) and name in losses and bool(losses.get(name).output_is)

    def _defaults(self) -> None:
        """The recipe's name, and the loss and metrics of its task."""
        at = Where()
        self.tree.value.setdefault("name", Node(self.file.stem, at))
        task = self.tree.child("task")
        name = task.value if task is not None else fields(Recipe)["task"].default
        if isinstance(name, str) and name in tasks:
            cls = tasks.get(name)
            phases = self.tree.get(("train", "phases"))
            minimised = "" if phases is not None and phases.value else cls.default_loss
            measured = [] if self._compares_nothing() else list(cls.default_metrics)
            for key, default in (("loss", minimised), ("metrics", measured)):
                written = self.tree.child(key)
                if default == "":
                    continue
                if written is None:
                    self.tree.value[key] = expand(fields(Recipe)[key].form, of(default, at))
                elif key == "loss" and isinstance(written.value, dict) and "name" not in written.value:
                    written.value["name"] = Node(default, at)
        elif isinstance(name, str) and "${" not in name:
            try:
                tasks.get(name, ("task",))
            except DlrunError as error:
                self.errors.append(error)
                self.no_task = True

    def _data(self, built: dict[str, Any]) -> Signature | None:
        from dlrun.data.checks import seen
        from dlrun.resolve import signature_of

        node = self.tree.child("data")
        if node is None:
            built["data"] = self.typing.missing(fields(Recipe)["data"], ("data",), "recipe")
            return None
        self.errors += interpolate.resolve(node, ("data",), self.tree, {})
        built["data"] = self.typing.value(fields(Recipe)["data"].form, node, ("data",))
        data = self.typing.drafts.get(("data",)) if built["data"] is BROKEN else built["data"]
        if data is None:
            return None
        signature = self.known
        try:
            if signature is None or self.read_data:
                signature = signature_of(data, signature)
            self.stored = signature
            return seen(data, signature, self.errors)
        except DlrunErrors as several:
            self.errors += several.errors
        except DlrunError as error:
            self.errors.append(error)
        return None

    def _references(self, signature: Signature | None) -> None:
        known: dict[Path, Any] = {path: Unresolved() for path in interpolate.FROM_DATA}
        if signature is not None:
            known = {("data", "input_shape"): list(signature.input.shape)}
            if signature.classes is not None:
                known["data", "classes"] = signature.classes
            if signature.vocabulary is not None:
                known["data", "vocabulary"] = signature.vocabulary
            if signature.columns:
                known["data", "columns"] = [column.ids for column in signature.columns]
        for key, node in self.tree.value.items():
            if key != "data":
                self.errors += interpolate.resolve(node, (key,), self.tree, known)

    def _sections(self, built: dict[str, Any]) -> None:
        known = fields(Recipe)
        for key, node in self.tree.value.items():
            if key == "data":
                continue
            if key in known:
                built[key] = self.typing.value(known[key].form, node, (key,))
            else:
                built[key] = self.typing.unknown(key, list(known), (key,), "recipe")
        for name, field in known.items():
            if name in built:
                continue
            if self.no_task and name in ("loss", "metrics"):
                built[name] = BROKEN
            elif field.required:
                built[name] = self.typing.missing(field, (name,), "recipe")
            else:
                built[name] = field.default
        if self.errors:
            built.setdefault("task", BROKEN)

    def _plan(self, built: dict[str, Any], recipe: Recipe | None, signature: Signature | None) -> Plan | None:
        from dlrun.resolve import mistakes_in_part, resolve

        graph = self._graph(built, signature)
        try:
            if recipe is not None and graph is not None:
                return resolve(recipe, self.stored, graph)
            sections = {name: built[name] for name in fields(Recipe)}
            broken = {(name,) for name, value in sections.items() if value is BROKEN}
            known = {name: self.typing.drafts.get((name,)) for (name,) in broken}
            unread = {*self.typing.unread, *(path for path in broken if known[path[0]] is None)}
            self.errors += mistakes_in_part(Recipe(**{**sections, **known}), self.stored, graph, unread)
        except DlrunErrors as several:
            self.errors += several.errors
        except DlrunError as error:
            self.errors.append(error)
        return None

    def _graph(self, built: dict[str, Any], signature: Signature | None) -> Graph | None:
        """The model's graph; without one, what is wrong with the wiring all the same."""
        from dlrun.resolve import build_model, mistakes_in_draft

        task = built["task"] if built["task"] is not BROKEN and built["task"] in tasks else None
        broken = built["model"] is BROKEN
        model = self.typing.drafts.get(("model",)) if broken else built["model"]
        if model is None:
            return None
        try:
            if not broken and signature is not None and task is not None:
                return build_model(model, signature, task)
            found = mistakes_in_draft(model, signature, task)
            vague = any(error.path[:2] == ("model", "outputs") for error in self.typing.errors)
            self.errors += [error for error in found if not (vague and error.code == "unused-layer")]
        except UnusedLayers as unused:  # all else can be looked at
            self.errors += unused.errors
            return unused.graph
        except DlrunErrors as several:
            self.errors += several.errors
        except DlrunError as error:
            self.errors.append(error)
        return None

    def _backend(self, built: dict[str, Any]) -> None:
        from dlrun.backends import BACKENDS, check_backend

        backend = built["backend"]
        if backend is BROKEN or (backend.name in BACKENDS and not self.check_installed):
            return
        if built["device"] is not BROKEN and built["device"].name == "tpu":
            self.errors.append(no_tpu())
        try:
            check_backend(backend.name)
        except DlrunError as error:
            self.errors.append(error)

    def _raise(self) -> None:
        errors = [*self.errors, *self.typing.errors]
        if not errors:
            return
        seen: dict[tuple[str, str, Path], DlrunError] = {}
        for error in errors:
            self.place((error,))
            seen.setdefault((error.code, error.message, error.path), error)
        raise DlrunErrors(sorted(seen.values(), key=_order))

    def _locate(self, path: Path) -> Where:
        by = next((o for gone, o in self.deleted if path[: len(gone)] == gone and self.tree.get(gone) is None), None)
        where = self.tree.locate(path) if by is None else by.where
        return where if str(where) else self.tree.where

    def place(self, errors: Sequence[DlrunError]) -> None:
        """Give errors that have none their place, and their path as it is written."""
        for error in errors:
            if error.where is None:
                error.where = self._argument(error) or self._locate(error.path)
                error.path = self._written(error.path)

    def _argument(self, error: DlrunError) -> Where | None:
        """The override of an argument, where a target that is there cannot be used."""
        if error.code == "unknown-target" or error.path[-1:] != (TARGET,):
            return None
        target = self.tree.get(error.path[:-1])
        leaves = [] if target is None else target.leaves()
        return next((where for _, node in leaves if (where := _changed(node)).override is not None), None)

    def _written(self, path: Path) -> Path:
        """Without the key ``target``, where ``model: {_target_: …}`` left it out."""
        target = self.tree.get(_TARGET) if path[:2] == _TARGET else None
        name = target.child(TARGET) if target is not None else None
        left_out = target is not None and name is not None and target.where is name.where
        return (path[0], *path[2:]) if left_out else path


def _order(error: DlrunError) -> tuple[bool, str, int, int]:
    where = error.where or Where()
    return where.override is not None, where.file or "", where.line or 0, where.column or 0


def _origins(values: dict[str, Any], tree: Node) -> dict[str, str]:
    found = {}
    for path, _ in of(values, Where()).leaves():
        node = tree.get(path)
        found[dotted(path)] = "default" if node is None else _origin(_changed(node), path)
    return found


def _changed(node: Node) -> Where:
    """A value's place; of a list the override that changed an item, if there is one."""
    items = node.value if isinstance(node.value, list) else []
    return next((item.where for item in items if item.where.override is not None), node.where)


def _origin(where: Where, path: Path) -> str:
    if where.override is not None:
        return f"command line `{where.override}`"
    if where.file is None:
        return "recipe's file name" if path == ("name",) else "default of the task"
    return f"{where.file}:{where.line}"
