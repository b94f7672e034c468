"""What others add: layers of installed packages, and of Python files that a recipe names.

Nothing here runs before it is needed: a package is imported, and a file is executed, when a name is
asked for that dlrun itself does not have. A file is executed only because the recipe that the user
runs names it; one that came with a run directory only if the very same file has run here before.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from dlrun.errors import DlrunError
from dlrun.registry import RECORDINGS, Entry, Registry

FOLDER = "extensions"
"""Where a run directory keeps its recipe's files."""


@dataclass(frozen=True)
class Offer:
    """A file that the recipe being composed names.

    Args:
        path: The file.
        kept: Whether a run directory named it, not the user.
    """

    path: Path
    kept: bool


@dataclass(frozen=True)
class Executed:
    """A file that has run in this process.

    Args:
        digest: SHA-256 of what was executed.
        module: What it defined.
        entries: What it registered.
    """

    digest: str
    module: ModuleType
    entries: tuple[Entry, ...]


_offers: list[Offer] = []
_executed: dict[Path, Executed] = {}
_running: set[Path] = set()
_loaded: set[tuple[str, str]] = set()
_problems: dict[str, DlrunError] = {}


def begin() -> None:
    """Another recipe: what earlier ones' files registered is unknown again until it names them too."""
    _offers.clear()
    for done in _executed.values():
        for registry, name, _ in done.entries:
            registry.withdraw(name)


def offer(path: Path, *, kept: bool = False) -> None:
    """Let names be looked for in a file; it is executed when one is asked for that nothing else has."""
    path = path.resolve()
    if not any(o.path == path and not o.kept for o in _offers):
        _offers[:] = [o for o in _offers if o.path != path] + [Offer(path, kept)]


def offered(stem: str) -> Path | None:
    """The file of this name (without ``.py``) that the recipe names."""
    return next((o.path for o in _offers if o.path.stem == stem), None)


def module(path: Path) -> ModuleType:
    """What an offered file defines; executed if it has not been.

    Raises:
        DlrunError: ``extension-not-trusted``, ``extension-failed``.
    """
    return _run(next(o for o in _offers if o.path == path)).module


def supply(registry: Registry[Any], group: str | None, name: str | None) -> None:
    """Load what may register ``name``; every installed package of the group when it is None.

    Raises:
        DlrunError: ``extension-failed`` and ``extension-not-trusted``, when that may be why it is not there.
    """
    if group is not None:
        _load_packages(registry, group, name)
    if name is None:
        return
    failed: DlrunError | None = None
    for one in list(_offers):
        if name in registry.registered() or one.path in _running:
            continue
        try:
            _run(one)
        except DlrunError as error:
            failed = failed or error
    if failed is not None and name not in registry.registered():
        raise failed


def problems() -> list[DlrunError]:
    """Installed packages that could not be loaded, each with why."""
    return list(_problems.values())


def keep(files: Sequence[str], folder: Path) -> tuple[list[str], list[str]]:
    """Copy a recipe's files into its run directory.

    Args:
        files: As the composed recipe names them.
        folder: The run directory.

    Returns:
        What the run's own recipe calls them, and a note per file that was copied.
    """
    names: list[str] = []
    notes: list[str] = []
    for given in map(Path, files):
        if given.parent.resolve() == (folder / FOLDER).resolve():
            names.append(f"{FOLDER}/{given.name}")
            continue
        name, number = f"{FOLDER}/{given.name}", 2
        while name in names:
            name, number = f"{FOLDER}/{given.stem}_{number}.py", number + 1
        (folder / FOLDER).mkdir(exist_ok=True)
        shutil.copyfile(given, folder / name)
        names.append(name)
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        notes.append(f"`{given.name}` is kept in the run as `{name}` (SHA-256 {digest[:12]}…).")
    return names, notes


def _load_packages(registry: Registry[Any], group: str, name: str | None) -> None:
    from importlib.metadata import entry_points

    entries = sorted(entry_points(group=group), key=lambda e: (e.name != name, e.name))
    for entry in entries:
        if name is not None and name in registry.registered():
            return
        if (group, entry.name) in _loaded:
            continue
        _loaded.add((group, entry.name))
        package = entry.dist.name if entry.dist is not None else entry.value
        try:
            entry.load()
        except Exception as error:  # whatever a stranger's import raises
            _problems[f"{group}:{entry.name}"] = DlrunError(
                "extension-failed",
                f"`{entry.name}` of the package {package} could not be loaded: {_said(error)}.",
                hint=f"Repair or remove the package: pip show {package}",
            )
    if name is not None and (problem := _problems.get(f"{group}:{name}")) is not None:
        raise DlrunError(problem.code, problem.message, hint=problem.hint)


def _run(one: Offer) -> Executed:
    """Execute a file, or give back what it registered when it ran."""
    try:
        source = one.path.read_bytes()
    except OSError as error:
        raise DlrunError(
            "missing-extension", f"`{one.path}` cannot be read: {error.strerror}.", path=(FOLDER,)
        ) from None
    digest = hashlib.sha256(source).hexdigest()
    done = _executed.get(one.path)
    if done is None or done.digest != digest:
        if one.kept and not _known(digest):
            raise DlrunError(
                "extension-not-trusted",
                f"`{one.path.name}` came with this run directory and has not run on this machine; "
                "it is not executed unasked.",
                path=(FOLDER,),
                hint=f"Read it; then name it yourself: 'extensions=[{one.path}]'",
            )
        done = _executed[one.path] = _execute(one.path, source, digest)
        _remember(digest)
    for registry, name, cls in done.entries:
        registry.restore(name, cls)
    return done


def _execute(path: Path, source: bytes, digest: str) -> Executed:
    made = ModuleType(f"dlrun_{FOLDER}_{digest[:16]}_{path.stem}")
    made.__file__ = str(path)
    sys.modules[made.__name__] = made  # where type hints of its classes are looked up
    entries: list[Entry] = []
    RECORDINGS.append(entries)
    _running.add(path)
    try:
        exec(compile(source, str(path), "exec"), made.__dict__)
    except Exception as error:  # whatever a user's file raises
        for registry, name, _ in entries:
            registry.withdraw(name)
        if isinstance(error, DlrunError):
            raise
        raise DlrunError(
            "extension-failed",
            f"`{path.name}` could not be executed: {_said(error)}{_line(error, path)}.",
            path=(FOLDER,),
            hint=f"It stands at {path}.",
        ) from error
    finally:
        _running.discard(path)
        RECORDINGS.remove(entries)
    return Executed(digest, made, tuple(entries))


def _said(error: Exception) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _line(error: Exception, path: Path) -> str:
    if isinstance(error, SyntaxError):
        return ""  # says its own
    line, at = None, error.__traceback__
    while at is not None:
        if at.tb_frame.f_code.co_filename == str(path):
            line = at.tb_lineno
        at = at.tb_next
    return f" (line {line})" if line is not None else ""


def _record(digest: str) -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "dlrun" / FOLDER / digest


def _known(digest: str) -> bool:
    """Whether the very same file has run here because a recipe of the user's named it."""
    return _record(digest).is_file()


def _remember(digest: str) -> None:
    with contextlib.suppress(OSError):  # a home that cannot be written only means to be asked again
        _record(digest).parent.mkdir(parents=True, exist_ok=True)
        _record(digest).touch()
