"""The recipe language, read off the recipe's dataclasses: sections, choices, items and plain values."""

from __future__ import annotations

import dataclasses
import types
from dataclasses import dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

from dlrun.data.augmentation import Augmentation, augmentations
from dlrun.data.source import Source, sources
from dlrun.data.transforms import Transform, transforms
from dlrun.graph.architecture import Model, models
from dlrun.graph.layer import Layer, layers
from dlrun.initializers import Initializer, initializers
from dlrun.losses import Loss, losses
from dlrun.metrics.metric import Metric, metrics
from dlrun.optimizers import Optimizer, optimizers
from dlrun.recipe import BackendChoice, Device, Tracker
from dlrun.registry import Registry
from dlrun.schedules import Schedule, schedules

REGISTRIES: dict[type, Registry[Any]] = {
    Source: sources,
    Loss: losses,
    Optimizer: optimizers,
    Schedule: schedules,
    Transform: transforms,
    Augmentation: augmentations,
    Metric: metrics,
    Layer: layers,
    Model: models,
    Initializer: initializers,
}
NAMED = (BackendChoice, Device, Tracker)
"""Sections that may be written as their ``name`` alone."""


@dataclass(frozen=True)
class Leaf:
    """A plain value of this type."""

    type: Any


@dataclass(frozen=True)
class Section:
    """A mapping with the fields of ``cls``."""

    cls: type
    optional: bool = False

    @property
    def named(self) -> bool:
        """Whether its ``name`` alone may be written."""
        return self.cls in NAMED


@dataclass(frozen=True)
class Choice:
    """One registered class, written as its name or as a mapping with ``name``.

    ``inline``: a name without fields stays a name; it is no section of the recipe that others fill.
    """

    base: type
    optional: bool = False
    inline: bool = False

    @property
    def registry(self) -> Registry[Any]:
        """What can be chosen."""
        return REGISTRIES[self.base]


@dataclass(frozen=True)
class Items:
    """A list of registered classes, each written as its name or as a one-key mapping."""

    base: type
    optional: bool = False

    @property
    def registry(self) -> Registry[Any]:
        """What can be listed."""
        return REGISTRIES[self.base]


@dataclass(frozen=True)
class Rows:
    """A list of mappings, each with the fields of ``cls``."""

    cls: type
    optional: bool = False


Form = Leaf | Section | Choice | Items | Rows


@dataclass(frozen=True)
class Field:
    """A key that may be written.

    Args:
        name: The key.
        form: What may stand there.
        required: Whether it must be written.
        default: Its value otherwise (a dataclass instance, or a plain value).
    """

    name: str
    form: Form
    required: bool
    default: Any = None


_known: dict[Any, dict[str, Field]] = {}


def fields(cls: Any) -> dict[str, Field]:
    """The keys of a section or of a chosen class, in the order of the class."""
    if cls not in _known:
        _known[cls] = _fields(cls)
    return _known[cls]


def _fields(cls: Any) -> dict[str, Field]:
    hints = get_type_hints(cls, include_extras=True)
    result = {}
    for f in dataclasses.fields(cls):
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        default = None
        if not required:
            default = f.default if f.default_factory is dataclasses.MISSING else f.default_factory()
        result[f.name] = Field(f.name, form(hints[f.name]), required, default)
    return result


def form(hint: Any) -> Form:
    """What a field of this type looks like in a recipe."""
    inner, optional = _without_none(hint)
    if get_origin(inner) is tuple or _annotated_tuple(inner):
        item = _item(inner)
        if item in REGISTRIES:
            return Items(item, optional)
        if dataclasses.is_dataclass(item) and isinstance(item, type):
            return Rows(item, optional)
    if isinstance(inner, type) and inner in REGISTRIES:
        return Choice(inner, optional)
    named = [a for a in get_args(inner) if a in REGISTRIES] if str in get_args(inner) else []
    if named:
        return Choice(named[0], optional, inline=True)
    if dataclasses.is_dataclass(inner) and isinstance(inner, type):
        return Section(inner, optional)
    return Leaf(hint)


def _without_none(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) in (Union, types.UnionType):
        rest = [a for a in get_args(hint) if a is not type(None)]
        if len(rest) == 1 and len(rest) < len(get_args(hint)):
            return rest[0], True
    return hint, False


def _annotated_tuple(hint: Any) -> bool:
    return hasattr(hint, "__metadata__") and get_origin(hint.__origin__) is tuple


def _item(hint: Any) -> Any:
    args = get_args(hint.__origin__ if hasattr(hint, "__metadata__") else hint)
    return args[0] if len(args) == 2 and args[1] is Ellipsis else None
