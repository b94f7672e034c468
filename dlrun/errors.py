"""What can go wrong, said so that a user can act on it. Imports nothing from dlrun."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

Path = tuple[str | int, ...]
"""A place in a recipe, e.g. ``("model", "layers", 2, "conv2d", "filters")``."""


def dotted(path: Sequence[str | int]) -> str:
    """Write a path as users read it: ``model.layers[2].conv2d.filters``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text


def folded(name: object) -> str:
    """A name without what spellings differ in: ``LeakyReLU`` and ``leaky_relu`` are ``leakyrelu``."""
    return str(name).replace("_", "").replace("-", "").lower()


def nearest(name: object, names: Iterable[str], limit: int = 3) -> list[str]:
    """The names closest in spelling to ``name``, best first; where only case or underscores differ, only those."""
    names = list(names)
    same = [n for n in names if folded(n) == folded(name)]
    if same:
        return same[:limit]
    close = difflib.get_close_matches(str(name), names, n=limit, cutoff=0.55)
    if not close:
        spelt = {folded(n): n for n in names}
        close = [spelt[n] for n in difflib.get_close_matches(folded(name), spelt, n=limit, cutoff=0.55)]
    return close


def one_of(meant: Sequence[str]) -> str:
    """A sentence that asks for the first two names; empty without names."""
    return "Did you mean " + " or ".join(f"`{c}`" for c in meant[:2]) + "?" if meant else ""


def did_you_mean(name: object, names: Iterable[str], otherwise: str = "") -> str:
    """A sentence that names the nearest valid names, or lists all when there are few."""
    names = list(names)
    close = nearest(name, names)
    if close:
        return one_of(close)
    if names and len(names) <= 12:
        return "Valid: " + ", ".join(f"`{n}`" for n in names) + "."
    return otherwise


@dataclass(frozen=True)
class Where:
    """Where a mistake stands: a place in a file, or the command-line override it came from."""

    file: str | None = None
    line: int | None = None
    column: int | None = None
    override: str | None = None

    def __str__(self) -> str:
        if self.override is not None:
            return f"command line `{self.override}`"
        if self.file is None:
            return ""
        place = self.file
        if self.line is not None:
            place += f":{self.line}" + (f":{self.column}" if self.column is not None else "")
        return place


class DlrunError(Exception):
    """A mistake in the recipe or the command (exit code 2).

    Args:
        code: Stable kebab-case identifier, e.g. ``unknown-layer``.
        message: One sentence with the offending value in backquotes and the rule.
        path: Place in the recipe, if there is one; positions are found from it.
        where: File position or override; filled in by the configuration from ``path``.
        hint: The nearest valid names and one next action.
    """

    exit_code = 2

    def __init__(
        self,
        code: str,
        message: str,
        *,
        path: Path = (),
        where: Where | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.path = path
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        place = " ".join(p for p in (str(self.where or ""), dotted(self.path)) if p)
        parts = [f"{self.code}: {self.message}", f"{place}." if place else "", self.hint or ""]
        return " ".join(p for p in parts if p)

    def as_dict(self) -> dict[str, object]:
        """The error as JSON-ready values."""
        where = self.where or Where()
        return {
            "code": self.code,
            "message": self.message,
            "path": dotted(self.path) or None,
            "file": where.file,
            "line": where.line,
            "column": where.column,
            "override": where.override,
            "hint": self.hint,
        }


class RunError(DlrunError):
    """A run that failed although the recipe was fine (exit code 1)."""

    exit_code = 1


class DlrunErrors(DlrunError):
    """Several mistakes found together; printed one per line.

    Args:
        errors: The mistakes, in the order found. At least one.
    """

    def __init__(self, errors: Sequence[DlrunError]) -> None:
        assert errors
        super().__init__(errors[0].code, "; ".join(e.message for e in errors))
        self.errors: tuple[DlrunError, ...] = tuple(errors)
        self.exit_code = max(e.exit_code for e in errors)

    def __str__(self) -> str:
        return "\n".join(str(e) for e in self.errors)


def together(errors: Sequence[DlrunError]) -> DlrunError:
    """Mistakes as one error: the only one itself, or all of them."""
    return errors[0] if len(errors) == 1 else DlrunErrors(errors)


def all_of(calls: Iterable[Callable[[], T]]) -> list[T]:
    """What each call gives; all are made, also after a mistake.

    Raises:
        DlrunError: The mistakes of all calls, each told once.
    """
    found: list[T] = []
    errors: dict[str, DlrunError] = {}
    for call in calls:
        try:
            found.append(call())
        except DlrunErrors as several:
            errors |= {str(error): error for error in several.errors}
        except DlrunError as error:
            errors[str(error)] = error
    if errors:
        raise together(list(errors.values()))
    return found
