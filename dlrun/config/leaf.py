"""Checking one plain value against the type of its field, and saying what belongs there."""

from __future__ import annotations

import math
import re
import types
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt

from dlrun.errors import DlrunError, DlrunErrors, Path, did_you_mean
from dlrun.recipe import FolderName

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?")
_RANK = {"wrong-type": 0, "unknown-key": 1, "invalid-choice": 1, "out-of-range": 2, "bad-name": 3}


@dataclass
class Fault:
    """One value that does not belong; ``path`` leads into a list or a mapping."""

    code: str
    value: Any
    expected: Any
    hint: str | None = None
    path: Path = ()


class Mismatch(Exception):
    """Values that do not belong: one, or several of a list or a mapping."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(faults[0].code)
        self.faults = faults


def check(value: Any, hint: Any, path: Path) -> Any:
    """The value as its field holds it: lists become tuples, whole numbers become floats where a number belongs.

    Raises:
        DlrunErrors: ``wrong-type``, ``unknown-key``, ``out-of-range``, ``invalid-choice`` or ``bad-name``, one for each
            value that is wrong.
    """
    try:
        return _accept(value, hint)
    except Mismatch as found:
        raise DlrunErrors([_error(fault, path) for fault in found.faults]) from None


def _error(fault: Fault, path: Path) -> DlrunError:
    whole = (*path, *fault.path)
    name = next((p for p in reversed(whole) if isinstance(p, str)), "")
    if fault.code == "unknown-key":
        message, hint = (
            f"`{fault.value}` is not a key of `{whole[-2]}`.",
            did_you_mean(fault.value, get_args(fault.expected)),
        )
        return DlrunError(fault.code, message, path=whole, hint=hint)
    place = f"an item of `{name}`" if fault.path and whole[-1] != name else f"`{name}`"
    return DlrunError(
        fault.code,
        f"{place} must be {describe(fault.expected)}, got `{written(fault.value)}`.",
        path=whole,
        hint=fault.hint or _suggest(fault.value, fault.expected),
    )


def _accept(value: Any, hint: Any) -> Any:
    origin = get_origin(hint)
    if origin is Annotated:
        try:
            return _within(_accept(value, hint.__origin__), hint)
        except Mismatch as found:
            if not found.faults[0].path:
                found.faults[0].expected = hint  # say the whole rule
            raise
    if origin in (Union, types.UnionType):
        return _any_of(value, hint)
    if origin is Literal:
        return _literal(value, hint)
    if origin is tuple:
        return _tuple(value, hint)
    if origin is dict:
        if not isinstance(value, dict):
            raise Mismatch(Fault("wrong-type", value, hint))
        keys, of = get_args(hint)
        if get_origin(keys) is Literal and (unknown := [key for key in value if key not in get_args(keys)]):
            raise Mismatch(*(Fault("unknown-key", key, keys, path=(key,)) for key in unknown))
        return dict(zip(value, _each((key, v, of) for key, v in value.items()), strict=True))
    if hint is Any:
        return value
    if hint is None or hint is type(None):
        if value is None:
            return None
    elif hint is float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                number = float(value)
            except OverflowError:  # an integer may have any number of digits
                number = math.inf
            if not math.isfinite(number):
                raise Mismatch(Fault("out-of-range", value, hint, hint="Write a finite number."))
            return number
    elif isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise Mismatch(Fault("wrong-type", value, hint))


def _within(value: Any, hint: Any) -> Any:
    for bound in hint.__metadata__:
        if isinstance(bound, FolderName) and not bound.allows(value):
            raise Mismatch(Fault("bad-name", value, hint, hint="The folder above a run is `output.root`."))
        outside = (
            (isinstance(bound, Gt) and not value > bound.gt)
            or (isinstance(bound, Ge) and not value >= bound.ge)
            or (isinstance(bound, Lt) and not value < bound.lt)
            or (isinstance(bound, Le) and not value <= bound.le)
        )
        if outside:
            raise Mismatch(Fault("out-of-range", value, hint))
    return value


def _any_of(value: Any, hint: Any) -> Any:
    found: list[Mismatch] = []
    for option in get_args(hint):
        try:
            return _accept(value, option)
        except Mismatch as mismatch:
            found.append(mismatch)
    worst = max((m.faults for m in found), key=lambda faults: (len(faults[0].path), _RANK[faults[0].code]))
    raise Mismatch(*worst) if worst[0].path else Mismatch(Fault(worst[0].code, value, hint, worst[0].hint))


def _literal(value: Any, hint: Any) -> Any:
    options = get_args(hint)
    if any(value == o and type(value) is type(o) for o in options):
        return value
    raise Mismatch(Fault("invalid-choice" if isinstance(value, str) else "wrong-type", value, hint))


def _tuple(value: Any, hint: Any) -> Any:
    args = get_args(hint)
    if not isinstance(value, list | tuple):
        raise Mismatch(Fault("wrong-type", value, hint))
    if len(args) == 2 and args[1] is Ellipsis:
        args = (args[0],) * len(value)
    elif len(args) != len(value):
        raise Mismatch(Fault("wrong-type", value, hint))
    return tuple(_each((i, item, arg) for i, (item, arg) in enumerate(zip(value, args, strict=True))))


def _each(parts: Iterable[tuple[str | int, Any, Any]]) -> list[Any]:
    """The values of a list or a mapping, given with their keys and types; all that do not belong are told."""
    accepted: list[Any] = []
    faults: list[Fault] = []
    for key, value, hint in parts:
        try:
            accepted.append(_accept(value, hint))
        except Mismatch as found:
            faults += [replace(fault, path=(key, *fault.path)) for fault in found.faults]
    if faults:
        raise Mismatch(*faults)
    return accepted


def describe(hint: Any, many: bool = False) -> str:
    """What belongs there, to follow "must be": ``an integer above 0, or a list of 2``."""
    origin = get_origin(hint)
    if origin is Annotated:
        if isinstance(hint.__metadata__[0], FolderName):
            return str(hint.__metadata__[0].says)
        bounds = [text for b in hint.__metadata__ if (text := _bound(b))]
        return " ".join([describe(hint.__origin__, many), " and ".join(bounds)]).strip()
    if origin in (Union, types.UnionType):
        parts = [describe(a, many) for a in get_args(hint)]
        return ", ".join(parts[:-1]) + (" or " if len(parts) < 3 else ", or ") + parts[-1]
    if origin is Literal:
        return "one of " + ", ".join(f"`{a}`" for a in get_args(hint))
    if origin is tuple:
        args = get_args(hint)
        count = "" if len(args) == 2 and args[1] is Ellipsis else f"{len(args)} "
        return ("lists of " if many else "a list of ") + count + describe(args[0], many=True)
    if origin is dict:
        return "a mapping"
    one, several = {
        int: ("an integer", "integers"),
        float: ("a number", "numbers"),
        bool: ("true or false", "true or false"),
        str: ("text", "texts"),
    }.get(hint, ("null", "null") if hint in (None, type(None)) else ("a value", "values"))
    return several if many else one


def _bound(bound: Any) -> str:
    if isinstance(bound, Gt):
        return f"above {bound.gt}"
    if isinstance(bound, Ge):
        return f"of at least {bound.ge}"
    if isinstance(bound, Lt):
        return f"below {bound.lt}"
    if isinstance(bound, Le):
        return f"of at most {bound.le}"
    return ""


def written(value: Any) -> str:
    """A plain value as a recipe would have it, shortened."""
    if isinstance(value, dict):
        text = "{" + ", ".join(f"{k}: {written(v)}" for k, v in value.items()) + "}"
    elif isinstance(value, list | tuple):
        text = "[" + ", ".join(map(written, value)) + "]"
    elif value is None or isinstance(value, bool):
        text = {None: "null", True: "true", False: "false"}[value]
    else:
        text = str(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _suggest(value: Any, hint: Any) -> str | None:
    kinds = _kinds(hint)
    if isinstance(value, str):
        names = [a for k in kinds if get_origin(k) is Literal for a in get_args(k)]
        if names:
            return did_you_mean(value, names) or None
        if {int, float} & set(kinds) and re.fullmatch("0+[1-9][0-9]*", value):
            return f"Write `{value.lstrip('0')}`."  # octal to some readers of YAML
        if (int in kinds and re.fullmatch("-?[0-9]+", value)) or (float in kinds and _NUMBER.fullmatch(value)):
            return f"Write `{value}` without quotes."
    if isinstance(value, float) and int in kinds and value.is_integer():
        return f"Write `{int(value)}`."
    if isinstance(value, int | float | bool) and str in kinds:
        return f'Write `"{written(value)}"` in quotes.'
    return _as_list(value, hint)


def _as_list(value: Any, hint: Any) -> str | None:
    if value is None or isinstance(value, dict | list):
        return None
    try:
        _accept([value], hint)
    except Mismatch:
        return None
    return f"Write `[{written(value)}]`."


def takes_mapping(hint: Any) -> bool:
    """Whether a mapping with keys of the user's own may stand there."""
    return any(get_origin(kind) is dict for kind in _kinds(hint))


def _kinds(hint: Any) -> list[Any]:
    origin = get_origin(hint)
    if origin is Annotated:
        return _kinds(hint.__origin__)
    if origin in (Union, types.UnionType):
        return [k for a in get_args(hint) for k in _kinds(a)]
    return [hint]
