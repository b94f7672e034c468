"""Named things a recipe can choose from: layers, losses, optimizers, sources, …"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from dlrun.described import described
from dlrun.errors import DlrunError, Path, did_you_mean

T = TypeVar("T")
C = TypeVar("C")


class Registry(Generic[T]):
    """Maps the name written in a recipe to the class that describes it.

    Args:
        role: What the entries are, in the singular, as error messages say it (``layer``).
        home: Dotted package whose modules register entries when imported, or None.

    A registered class becomes a frozen, keyword-only dataclass whose fields are the keys a
    recipe may write; it gets the class attribute ``kind`` (its name).
    """

    def __init__(self, role: str, home: str | None = None) -> None:
        self.role = role
        self._home = home
        self._entries: dict[str, type[T]] = {}

    def __call__(self, name: str) -> Callable[[type[C]], type[C]]:
        def register(cls: type[C]) -> type[C]:
            assert name not in self._entries, f"{self.role} {name} registered twice"
            made = described(cls)
            made.kind = name  # type: ignore[attr-defined]
            self._entries[name] = made  # type: ignore[assignment]
            return made

        return register

    def _discover(self) -> dict[str, type[T]]:
        if self._home is not None:
            package = importlib.import_module(self._home)
            self._home = None
            for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
                importlib.import_module(f"{package.__name__}.{module}")
        return self._entries

    def names(self) -> list[str]:
        """Every registered name, sorted."""
        return sorted(self._discover())

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self._discover()

    def get(self, name: object, path: Path = ()) -> type[T]:
        """The class called ``name``.

        Raises:
            DlrunError: ``unknown-<role>`` with the nearest names.
        """
        entries = self._discover()
        if not isinstance(name, str) or name not in entries:
            article = "an" if self.role[0] in "aeiou" else "a"
            raise DlrunError(
                f"unknown-{self.role.replace(' ', '-')}",
                f"`{name}` is not {article} {self.role}.",
                path=path,
                hint=did_you_mean(
                    name, sorted(entries), "Valid: " + ", ".join(f"`{n}`" for n in sorted(entries)) + "."
                ),
            )
        return entries[name]
