"""Files that a recipe names by URL: fetched once, checked, unpacked, and found below a folder from then on."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from dlrun.data.published import cache_folder
from dlrun.errors import DlrunError, did_you_mean
from dlrun.errors import Path as KeyPath

_ARCHIVES = re.compile(r"\.(zip|tar|tgz|tbz2?|txz|tar\.(gz|bz2|xz))$", re.IGNORECASE)
_SCHEMES = ("https", "http", "file")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file to fetch before the data source looks for its own.

    Args:
        url: Where it is: an https, http or file URL.
        sha256: Its SHA-256 in hexadecimal; without it whatever arrives is taken, and its SHA-256 is told.
        unpack: Whether it is a zip or tar archive that becomes a folder.
        to: Name of the file or folder below `data.root`; the URL's last part when left out, without the ending of an
            archive that is unpacked.
    """

    url: str
    sha256: str | None = None
    unpack: bool = False
    to: str | None = None


@dataclass(frozen=True)
class Fetched:
    """What became of a recipe's remote files.

    Args:
        root: The folder that relative names of the data source stand below.
        notes: What a user should know: checksums that the recipe does not say, and folders that none was compared with.
    """

    root: str | None
    notes: tuple[str, ...] = ()


def fetch_files(files: Sequence[RemoteFile], root: str | None, download: bool) -> Fetched:
    """Have every file in its place: below ``root``, or in the user's cache folder, one folder for each list of files.

    What is there already stays: a file is compared with its SHA-256 once and again when it changes, an unpacked folder
    by what was written down when it was unpacked. Processes that want the same file wait for each other.

    Args:
        files: The recipe's ``data.files``.
        root: Its ``data.root``.
        download: Whether missing files may be fetched.

    Raises:
        DlrunErrors: ``invalid-url``, ``invalid-checksum``, ``invalid-place``.
        DlrunError: ``missing-data``, ``wrong-checksum``, ``page-instead-of-file``, ``not-an-archive``,
            ``corrupt-archive``, ``unsafe-archive``, ``unwritable-folder``, ``wrong-place``.
        RunError: ``download-failed``, ``disk-full``.
    """
    if not files:
        return Fetched(root)
    _check(files)
    base = Path(root).expanduser() if root else cache_folder("files") / _identity(files)
    notes = []
    for number, file in sorted(enumerate(files), key=_depth):  # a folder, then what goes into it
        found = _in_place(file, base, ("data", "files", number), download)
        if file.sha256 is None and found is not None:
            notes.append(
                f"`{file.url}` was fetched with the SHA-256 `{found}`; write it into `sha256` to be sure of it."
            )
        if file.sha256 is not None and found is None:
            notes.append(f"`{base / name_of(file)}` was not unpacked here: `sha256` of `{file.url}` was not compared.")
    return Fetched(str(base), tuple(notes))


def name_of(file: RemoteFile) -> str:
    """Where a file goes, below the root."""
    if file.to is not None:
        return file.to
    name = unquote(urlsplit(file.url).path.rstrip("/").rpartition("/")[2])
    return _ARCHIVES.sub("", name) if file.unpack else name


def _depth(numbered: tuple[int, RemoteFile]) -> int:
    return len(PurePosixPath(name_of(numbered[1])).parts)


def marker_of(target: Path) -> Path:
    """The file beside a fetched one that tells what it is."""
    return target.with_name(f".{target.name}.fetched.json")


def _in_place(file: RemoteFile, base: Path, path: KeyPath, download: bool) -> str | None:
    """Fetch a file if it is not there; its SHA-256, or None where a user put it there and nobody asks,
    or nothing tells."""
    target = base / name_of(file)
    if not target.exists():
        if not download:
            raise DlrunError(
                "missing-data",
                f"`{target}` is not there, and downloading is off.",
                path=path,
                hint=f"Set `data.download=true`, or put there what `{file.url}` holds.",
            )
        from dlrun.data.fetching import fetch_one

        fetch_one(file, target, path)
    known = _known(target)
    if target.is_dir() != file.unpack:
        kind, wanted = ("folder", "file") if target.is_dir() else ("file", "folder")
        raise DlrunError("wrong-place", f"`{target}` is a {kind}, but `{file.url}` would become a {wanted}.", path=path)
    found = known.get("sha256")
    same = file.unpack or known.get("state") == state_of(target)
    if file.sha256 is None and found is not None and same and known.get("url") != file.url:
        raise DlrunError(
            "wrong-place",
            f"`{target}` came from `{known.get('url')}`, not from `{file.url}`.",
            path=(*path, "url"),
            hint="Delete it to have the other fetched, or name another place in `to`.",
        )
    if not file.unpack and known.get("state") != state_of(target):
        from dlrun.data.download import digest

        if file.sha256 is None:
            return None
        found = digest(target, "sha256")
        remember(target, file.url, found, state_of(target))
    if found is not None and file.sha256 is not None and found != file.sha256.lower():
        what = "was unpacked from an archive with" if file.unpack else "has"
        raise DlrunError(
            "wrong-checksum",
            f"`{target}` {what} the SHA-256 `{found}`, but the recipe says {file.sha256}.",
            path=(*path, "sha256"),
            hint="Delete it to have it fetched again, or correct the recipe.",
        )
    return found


def remember(target: Path, url: str, sha256: str, state: list[int] | None) -> None:
    """Write down what a fetched file or unpacked folder is.

    Args:
        target: Its place.
        url: Where it came from.
        sha256: Of the file as fetched.
        state: ``state_of`` it, None for a folder.
    """
    from dlrun.files import write_json

    try:
        write_json(marker_of(target), {"url": url, "sha256": sha256, "state": state})
    except OSError as error:  # then the file is read through again next time
        _log.warning("`%s` cannot be written: %s", marker_of(target), error.strerror or error)


def _known(target: Path) -> dict[str, Any]:
    try:
        known = json.loads(marker_of(target).read_text("utf-8"))
        return known if isinstance(known, dict) else {}
    except (OSError, ValueError):
        return {}


def state_of(target: Path) -> list[int]:
    """What changes when a file does: its size and time of change."""
    status = target.stat()
    return [status.st_size, status.st_mtime_ns]


def _identity(files: Sequence[RemoteFile]) -> str:
    said = json.dumps([[f.url, f.sha256, f.unpack, f.to] for f in files])
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def _check(files: Sequence[RemoteFile]) -> None:
    from dlrun.errors import DlrunErrors

    errors: list[DlrunError] = []
    places: dict[str, int] = {}

    def wrong(code: str, message: str, number: int, key: str, hint: str) -> None:
        errors.append(DlrunError(code, message, path=("data", "files", number, key), hint=hint))

    for number, file in enumerate(files):
        scheme = urlsplit(file.url).scheme.lower()
        if scheme not in _SCHEMES or (scheme != "file" and not urlsplit(file.url).hostname):
            hint = did_you_mean(scheme, _SCHEMES) if scheme else "Write it whole: `https://…`."
            wrong("invalid-url", f"`{file.url}` is no https, http or file URL.", number, "url", hint)
            continue
        if file.sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", file.sha256):
            message = f"`{file.sha256}` is no SHA-256; it has 64 hexadecimal digits."
            wrong("invalid-checksum", message, number, "sha256", "Print it with `sha256sum FILE`.")
        name = name_of(file)
        parts = PurePosixPath(name).parts
        key = "url" if file.to is None else "to"
        if not parts or parts[0] == "/" or ".." in parts or "\\" in name or "\0" in name:
            message = f"`{name}` names no place below `data.root`."
            wrong("invalid-place", message, number, key, "Write a relative name in `to`, such as `flowers`.")
        elif (other := places.setdefault("/".join(parts), number)) != number:
            message = f"`{name}` is where `data.files[{other}]` goes already."
            wrong("invalid-place", message, number, key, "Write another name in `to`.")
    if errors:
        raise DlrunErrors(errors)
