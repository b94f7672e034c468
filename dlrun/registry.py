"""Named things a recipe can choose from: layers, losses, optimizers, sources, …"""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any, Generic, TypeVar

from dlrun.described import described
from dlrun.errors import DlrunError, Path, folded, nearest, one_of

T = TypeVar("T")
C = TypeVar("C")

Entry = tuple["Registry[Any]", str, type]
"""A class that was registered, where and under which name."""
RECORDINGS: list[list[Entry]] = []
"""Each of these lists gets every class that is registered from now on."""


class Registry(Generic[T]):
    """Maps the name written in a recipe to the class that describes it.

    Args:
        role: What the entries are, in the singular, as error messages say it (``layer``).
        home: Dotted package whose modules register entries when imported, or None.
        default: The entry meant where none is named, or None.
        group: Entry points of this group add further entries, or None.
        elsewhere: What to say of a word that names no entry but has its place elsewhere in a recipe; None of others.

    A registered class becomes a frozen, keyword-only dataclass whose fields are the keys a
    recipe may write; it gets the class attribute ``kind`` (its name). Other words that users write
    for it stand in its class attribute ``known_as``, if it has one, and lead to its name.
    """

    def __init__(
        self,
        role: str,
        home: str | None = None,
        default: str | None = None,
        group: str | None = None,
        elsewhere: Callable[[str], str | None] = lambda word: None,
    ) -> None:
        self.role = role
        self.default = default
        self._group = group
        self._home = home
        self._elsewhere = elsewhere
        self._entries: dict[str, type[T]] = {}

    def __call__(self, name: str) -> Callable[[type[C]], type[C]]:
        def register(cls: type[C]) -> type[C]:
            if name in self._entries:
                raise DlrunError(f"duplicate-{self._slug}", f"`{name}` is {self.one} already; choose another name.")
            made = described(cls)
            made.kind = name  # type: ignore[attr-defined]
            self._entries[name] = made  # type: ignore[assignment]
            for recording in RECORDINGS:
                recording.append((self, name, made))
            return made

        return register

    def _seek(self, name: str) -> bool:
        """Import the one module that says it registers ``name``; the other modules need not be loaded for it."""
        if self._home is None:
            return False
        package = importlib.import_module(self._home)
        says = re.compile(rf'^@\w+\("{re.escape(name)}"\)', re.MULTILINE)
        for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
            source = files(package).joinpath(f"{module}.py")
            if source.is_file() and says.search(source.read_text(encoding="utf-8")):
                importlib.import_module(f"{package.__name__}.{module}")
                if name in self._entries:
                    return True
        return False

    def _discover(self) -> dict[str, type[T]]:
        if self._home is not None:
            package = importlib.import_module(self._home)
            self._home = None
            for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
                importlib.import_module(f"{package.__name__}.{module}")
        return self._entries

    @property
    def _slug(self) -> str:
        return self.role.replace(" ", "-")

    @property
    def one(self) -> str:
        """An entry, with its article: ``an augmentation``."""
        return f"an {self.role}" if self.role[0] in "aeiou" else f"a {self.role}"

    def registered(self) -> dict[str, type[T]]:
        """What is registered now, by name; nothing is looked for."""
        return self._entries

    def withdraw(self, name: str) -> None:
        """Forget an entry that an extension made."""
        self._entries.pop(name, None)

    def restore(self, name: str, cls: type) -> None:
        """Put back an entry that was withdrawn."""
        self._entries.setdefault(name, cls)

    def _supply(self, name: str | None) -> None:
        """Ask extensions for an entry that dlrun itself does not have, or for all of them."""
        from dlrun.extensions import supply

        supply(self, self._group, name)

    def names(self) -> list[str]:
        """Every registered name, sorted; also those of installed packages."""
        self._discover()
        if self._group is not None:
            self._supply(None)
        return sorted(self._entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        if name in self._entries or self._seek(name) or name in self._discover():
            return True
        with contextlib.suppress(DlrunError):  # `get` says it
            self._supply(name)
        return name in self._entries

    def get(self, name: object, path: Path = ()) -> type[T]:
        """The class called ``name``.

        Raises:
            DlrunError: ``unknown-<role>`` with the nearest names; ``extension-failed`` and the like.
        """
        entries = self._entries
        if not isinstance(name, str) or (name not in entries and not self._seek(name)):
            entries = self._discover()
        if isinstance(name, str) and name not in entries:
            try:
                self._supply(name)
            except DlrunError as error:
                error.path = path
                raise
        if not isinstance(name, str) or name not in entries:
            every = "Valid: " + ", ".join(f"`{n}`" for n in sorted(entries)) + "."
            hint = self._elsewhere(str(name)) or one_of(self.meant(name)) or every
            raise DlrunError(f"unknown-{self._slug}", f"`{name}` is not {self.one}.", path=path, hint=hint)
        return entries[name]

    def known(self, word: object) -> list[str]:
        """The names of entries that other tools know as ``word``."""
        of_each = ((name, vars(cls).get("known_as", ())) for name, cls in self._discover().items())
        return [name for name, words in of_each if folded(word) in map(folded, words)]

    def meant(self, word: object) -> list[str]:
        """The names for which ``word`` may have been written, best first."""
        return self.known(word) or nearest(word, sorted(self._discover()))
