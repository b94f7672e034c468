"""Finding the files a recipe names."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from dlrun.data.source import Place
from dlrun.errors import DlrunError, did_you_mean, nearest

EXAMPLE = "example:"
"""Begins the name of a file that comes with dlrun."""
_EXAMPLES = Path(__file__).parent / "examples"
_ARCHIVES = (".tar.gz", ".tgz", ".tar.xz", ".tar", ".zip")
_LOOKED_AT = 5_000
"""Names of a folder at most that one is compared with which is not there."""


def check_root(root: str | None) -> None:
    """Refuse a ``data.root`` that is not there: the data would be taken from elsewhere, unnoticed.

    Raises:
        DlrunError: ``missing-data``.
    """
    if root is not None and not os.path.isdir(os.path.expanduser(root)):
        raise DlrunError(
            "missing-data",
            f"`data.root` is `{root}`, and there is no such folder.",
            path=("data", "root"),
            hint=f"Correct it, or make the folder to download to: mkdir -p {shlex.quote(root)}",
        )


def locate(name: str, place: Place, field: str, *, folder: bool = False) -> Path:
    """The file or folder a recipe means by ``name``.

    `example:…` names one that comes with dlrun. Relative names stand below ``data.root``; without one, below the
    working folder or ``DLRUN_DATA``. A folder may also be inside an archive that stands where its first part would:
    `flowers/train` in `flowers.tar.gz`, which is unpacked into the user's cache folder once.

    Args:
        name: As written in the recipe.
        place: Where to look.
        field: Key of the data source that holds the name, for the error.
        folder: Whether a folder is wanted.

    Raises:
        DlrunError: ``missing-data``, with every place that was looked at; ``corrupt-archive``, ``unsafe-archive``,
            ``unreadable-file``, ``unwritable-folder``.
        RunError: ``disk-full``.
    """
    example = name.startswith(EXAMPLE)
    path = Path(name.removeprefix(EXAMPLE)).expanduser()
    bases = [place.root] if place.root else [os.curdir, os.environ.get("DLRUN_DATA")]
    bases = [str(_EXAMPLES)] if example else bases
    places = [path] if path.is_absolute() else [Path(base).expanduser() / path for base in bases if base]
    for candidate in places:
        if candidate.is_dir() if folder else candidate.is_file():
            return candidate
    if (
        folder
        and not path.is_absolute()
        and (found := _packed(path, [Path(b).expanduser() for b in bases if b], field))
    ):
        return found
    kind = "folder" if folder else "file"
    if example:
        known = sorted(f"{EXAMPLE}{p.name}" for p in _EXAMPLES.iterdir())
        raise DlrunError(
            "missing-data",
            f"`{name}` is no {kind} that comes with dlrun.",
            path=("data", "source", field),
            hint=did_you_mean(name, known, "There are: " + ", ".join(f"`{n}`" for n in known) + "."),
        )
    wrong = [p for p in places if p.exists()]
    if wrong:
        message = f"`{wrong[0]}` is not a {kind}."
    else:
        message = f"there is no {kind} " + " or ".join(f"`{p.absolute()}`" for p in places) + "."
    hint = "Write the full path, or set `data.root` to the folder it is relative to."
    if close := next((n for p in places if (n := _nearest(p, len(path.parts), folder)) is not None), None):
        hint = f"Did you mean `{close}`? Else write the full path, or set `data.root`."
    raise DlrunError("missing-data", message, path=("data", "source", field), hint=hint)


def _nearest(path: Path, parts: int, folder: bool) -> str | None:
    """What is there and called nearly so as the last ``parts`` of a path, of which one part may be misspelt."""
    wrong = path.absolute()
    end = len(wrong.parts)
    while not wrong.parent.is_dir():
        wrong = wrong.parent
    behind = path.absolute().parts[len(wrong.parts) :]
    try:
        with os.scandir(wrong.parent) as entries:
            names = [entry.name for entry, _ in zip(entries, range(_LOOKED_AT), strict=False)]
    except OSError:
        return None
    for name in nearest(wrong.name, names):
        found = wrong.with_name(name).joinpath(*behind)
        if found.is_dir() if folder else found.is_file():
            return str(Path(*found.parts[end - parts :]))
    return None


def _packed(path: Path, bases: Sequence[Path], field: str) -> Path | None:
    """The folder in an archive beside which it would stand, unpacked; None where there is none."""
    first, *inside = path.parts
    for base in bases:
        for ending in _ARCHIVES:
            archive = base / f"{first}{ending}"
            if archive.is_file():
                unpacked = _unpacked(archive, ("data", "source", field))
                for candidate in (unpacked.joinpath(first, *inside), unpacked.joinpath(*inside)):
                    if candidate.is_dir():
                        return candidate
    return None


def _unpacked(archive: Path, path: tuple[str, ...]) -> Path:
    """Where an archive is unpacked, once for each of its versions."""
    import hashlib

    from filelock import FileLock

    from dlrun.data.fetching import disk_faults, unpack_into
    from dlrun.data.published import cache_folder

    of = archive.stat()
    said = f"{archive.resolve()}:{of.st_size}:{of.st_mtime_ns}"
    folder = cache_folder("unpacked")
    target = folder / hashlib.sha256(os.fsencode(said)).hexdigest()[:32]
    if not target.is_dir():
        try:
            archive.open("rb").close()
        except OSError as error:
            raise DlrunError(
                "unreadable-file", f"`{archive}` cannot be read: {error.strerror or error}.", path=path
            ) from error
        hint = f"Unpack `{archive.name}` where it is, or set XDG_CACHE_HOME to a folder you may write to."
        with disk_faults(folder, str(archive), path, hint):
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / f".{target.name}.lock"):
                if not target.is_dir():  # another process may have done it while we waited
                    unpack_into(archive, target, str(archive), path)
    return target
