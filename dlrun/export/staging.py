"""Where an artefact is made and tried before anyone can see it, and how it takes its place."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dlrun.errors import DlrunError, RunError
from dlrun.export.formats import Format
from dlrun.files import sync_folder

DESCRIPTION = "dlrun.json"
"""Name of the description inside an artefact that is a folder, and the end of its name beside one that is a file."""


def description_file(format: Format, target: Path) -> Path:
    """Where the artefact at ``target`` is described."""
    return target / DESCRIPTION if format.folder else target.with_name(f"{target.name}.json")


def place(format: Format, out: Path, stem: str) -> Path:
    """The artefact's own path: ``out``, or a name of its own in it when ``out`` is another folder.

    Raises:
        DlrunError: ``wrong-suffix`` or ``target-exists``.
    """
    if out.is_dir() and not (format.folder and _is_ours(out)):
        out = out / (stem + format.suffix)
    if format.suffix and out.suffix != format.suffix:
        raise DlrunError(
            "wrong-suffix",
            f"`{out.name}` does not end in `{format.suffix}`, by which loaders know `{format.name}`.",
            hint=f"Write `out={out.with_suffix(format.suffix)}`.",
        )
    if (out.exists() or out.is_symlink()) and not (_is_ours(out) if format.folder else out.is_file()):
        raise DlrunError(
            "target-exists",
            f"`{out}` exists and is not a `{format.name}` artefact written by dlrun; it is not replaced.",
            hint="Choose another `out`, or move it away.",
        )
    return out


def _is_ours(folder: Path) -> bool:
    return (folder / DESCRIPTION).is_file() and (folder / "saved_model.pb").is_file()


@contextlib.contextmanager
def workspace(target: Path) -> Iterator[Path]:
    """A hidden folder beside ``target``, gone afterwards whatever happens.

    Raises:
        RunError: ``export-not-writable`` for any failure of the file system inside.
    """
    folder: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
        yield folder
    except OSError as error:
        raise RunError(
            "export-not-writable",
            f"`{target}` cannot be written: {error.strerror or error}.",
            hint="Nothing was kept. Free some space, or set `out` to a place you can write to.",
        ) from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def publish(made: Path, target: Path, aside: Path) -> None:
    """Move ``made`` to ``target`` in one step; what stood there is replaced, or put back on failure.

    Args:
        made: The finished file or folder, on the same file system.
        target: Where it belongs.
        aside: Free name to which a folder that is replaced moves first.
    """
    for path in (made, *made.rglob("*")) if made.is_dir() else (made,):
        _sync(path)
    if target.is_dir():
        os.rename(target, aside)
        try:
            os.rename(made, target)
        except OSError:
            os.rename(aside, target)
            raise
    else:
        os.replace(made, target)
    sync_folder(target.parent)


def _sync(path: Path) -> None:
    if path.is_dir():
        sync_folder(path)
        return
    with open(path, "rb") as file:
        os.fsync(file.fileno())
