"""Where a data set's published files are: local copies first, then a download."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from dlrun.data.source import Place
from dlrun.errors import DlrunError


@dataclass(frozen=True)
class PublishedFile:
    """A file whose content the world agrees on.

    Args:
        dataset: Folder it is kept in, below ``DLRUN_DATA``, the cache and ``DLRUN_MIRROR``.
        name: File name as published.
        mirrors: Base URLs, each ending in ``/``.
        size: Bytes.
        md5: Published checksum.
        unpacked_name: Name of the file after gunzip, accepted in its place.
        unpacked_md5: Its checksum.
        sha256: Published SHA-256, which counts instead of ``md5``; neither is checked where both are empty.
    """

    dataset: str
    name: str
    mirrors: tuple[str, ...]
    size: int
    md5: str
    unpacked_name: str
    unpacked_md5: str
    sha256: str = ""


def cache_folder(dataset: str) -> Path:
    """Where downloads go when the recipe names no ``data.root``."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "dlrun" / dataset


def search_folders(dataset: str, place: Place) -> list[Path]:
    """Folders that may hold a data set's files, in the order they are searched."""
    folders = []
    for base in (place.root, os.environ.get("DLRUN_DATA")):
        if base:
            folders += [Path(base).expanduser() / dataset, Path(base).expanduser()]
    return [*folders, cache_folder(dataset)]


def obtain(file: PublishedFile, place: Place) -> tuple[bytes, Path]:
    """A file's bytes, checked, and where they came from; downloaded when no copy is found.

    Raises:
        DlrunError: ``missing-data``, ``truncated-file``, ``wrong-checksum`` or ``unreadable-file``.
        RunError: ``download-failed``.
    """
    folders = search_folders(file.dataset, place)
    for folder in folders:
        for name in (file.name, file.unpacked_name):
            if (folder / name).is_file():
                return _checked(file, folder / name), folder / name
    if not place.download:
        raise DlrunError(
            "missing-data",
            f"`{file.name}` of {file.dataset} is in none of "
            + ", ".join(f"`{f}`" for f in folders)
            + ", and downloading is off.",
            path=("data", "download"),
            hint="Set `data.download=true`, or `data.root=FOLDER` (or the variable DLRUN_DATA) to where the files are.",
        )
    from dlrun.data.download import fetch

    target = fetch(file, Path(place.root).expanduser() if place.root else cache_folder(file.dataset))
    return _checked(file, target), target


def _checked(file: PublishedFile, path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DlrunError("unreadable-file", f"`{path}` cannot be read: {error.strerror}.") from error
    packed = path.name == file.name
    wanted, found = (file.md5 if packed else file.unpacked_md5), hashlib.md5(data).hexdigest()
    again = "Delete it to have it downloaded again, or point `data.root` at a folder with the original files."
    if wanted != found and packed and len(data) < file.size:
        raise DlrunError("truncated-file", f"`{path}` is cut off: {len(data)} of {file.size} bytes.", hint=again)
    if wanted != found:
        raise DlrunError(
            "wrong-checksum", f"`{path}` has the MD5 sum `{found}`; the original has {wanted}.", hint=again
        )
    return data
