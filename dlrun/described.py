"""Frozen descriptions with fields, made without generating code.

``dataclasses`` compiles several methods for each class, a third of a millisecond each; a few
hundred classes would be most of the time that ``dlrun check`` takes. Here they share one of each.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NoReturn, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def described(cls: type[T]) -> type[T]:
    """Make a class a frozen dataclass with keyword-only fields; ``dataclasses.fields`` and ``replace`` work on it."""
    cls = dataclasses.dataclass(init=False, repr=False, eq=False)(cls)
    for name, method in _METHODS.items():
        setattr(cls, name, method)
    return cls


def _init(self: Any, **values: Any) -> None:
    own = self.__dict__
    for field in dataclasses.fields(self):
        if field.name in values:
            own[field.name] = values.pop(field.name)
        elif field.default is not dataclasses.MISSING:
            own[field.name] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            own[field.name] = field.default_factory()
        else:
            raise TypeError(f"{type(self).__name__} needs `{field.name}`")
    if values:
        raise TypeError(f"{type(self).__name__} has no field `{next(iter(values))}`")
    check = getattr(self, "__post_init__", None)
    if check is not None:
        check()


def _repr(self: Any) -> str:
    values = (f"{f.name}={getattr(self, f.name)!r}" for f in dataclasses.fields(self))
    return f"{type(self).__qualname__}({', '.join(values)})"


def _eq(self: Any, other: object) -> bool:
    return self.__dict__ == other.__dict__ if type(self) is type(other) else NotImplemented


def _hash(self: Any) -> int:
    return hash((type(self), *self.__dict__.values()))


def _refuse(self: Any, name: str, *value: Any) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot change field `{name}`")


_METHODS = {
    "__init__": _init,
    "__repr__": _repr,
    "__eq__": _eq,
    "__hash__": _hash,
    "__setattr__": _refuse,
    "__delattr__": _refuse,
}
