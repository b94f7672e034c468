"""Fetching published files: several mirrors, resumed where they broke off, checked before use."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from dlrun.data.published import PublishedFile
from dlrun.data.waiting import waiting
from dlrun.errors import DlrunError, RunError
from dlrun.files import sync_folder

if TYPE_CHECKING:
    from http.client import HTTPResponse

TIMEOUT_S = 30.0
_CHUNK = 1 << 18
_log = logging.getLogger(__name__)


class _MirrorFailed(Exception):
    """Why one mirror was given up."""


def fetch(file: PublishedFile, folder: Path) -> Path:
    """Download ``file`` into ``folder`` and return its path there.

    What arrives is kept in ``<name>.part``, so that a later attempt, by this process or another
    mirror, goes on from there. ``DLRUN_MIRROR`` names a base URL that is tried first; it holds
    ``<dataset>/<name>``.

    Raises:
        DlrunError: ``unwritable-folder``.
        RunError: ``download-failed`` with the reason of each mirror, or ``disk-full``.
    """
    from filelock import FileLock

    target = folder / file.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{file.name}.lock"):
            if not target.exists():  # another process may have fetched it while we waited
                _fetch(file, target)
    except OSError as error:
        raise DlrunError(
            "unwritable-folder",
            f"`{folder}` cannot be written: {error.strerror or error}.",
            path=("data", "root"),
            hint="Set `data.root` to a folder you may write to.",
        ) from error
    return target


def mirrors(file: PublishedFile) -> list[str]:
    """URLs of a file, in the order they are tried."""
    urls = [base + file.name for base in file.mirrors]
    own = os.environ.get("DLRUN_MIRROR")
    return [f"{own.rstrip('/')}/{file.dataset}/{file.name}", *urls] if own else urls


def _fetch(file: PublishedFile, target: Path) -> None:
    part = target.with_name(target.name + ".part")
    reasons = []
    for url in mirrors(file):
        try:
            _from_mirror(file, url, part)
            part.replace(target)
            sync_folder(target.parent)
            return
        except _MirrorFailed as failed:
            _log.info("%s: %s", url, failed)
            reasons.append(f"{url}: {failed}")
    raise RunError(
        "download-failed",
        f"`{file.name}` of {file.dataset} could not be downloaded: " + "; ".join(reasons) + ".",
        hint=f"Try again (it goes on where it stopped), put the file into `{target.parent}`, "
        "or set DLRUN_MIRROR to the base URL of a copy.",
    )


def _from_mirror(file: PublishedFile, url: str, part: Path) -> None:
    """Bring ``part`` to completion from one mirror and check it."""
    resumed = _size(part) > 0
    _complete(url, part, file.size)
    wanted = file.sha256 or file.md5
    found = digest(part, "sha256" if file.sha256 else "md5")
    if found == wanted or not wanted:
        return
    part.unlink()
    if resumed:  # the beginning may have been another's mistake: once more from the start
        _from_mirror(file, url, part)
        return
    raise _MirrorFailed(f"wrong checksum, expected {wanted}, got {found}")


def fetch_url(url: str, part: Path) -> None:
    """Download what an http, https or file URL names, going on where ``part`` ends.

    Raises:
        RunError: ``download-failed``, or ``disk-full``.
    """
    try:
        _complete(url, part, None)
    except _MirrorFailed as failed:
        raise RunError(
            "download-failed",
            f"`{url}` could not be downloaded: {failed}.",
            hint="Try again, or correct the address.",
        ) from failed


def _complete(url: str, part: Path, size: int | None) -> None:
    """Request until ``part`` is whole, going on after each break that brought data."""
    name = url.partition("?")[0].rpartition("/")[2] or url
    with waiting(f"fetching {name}", in_bytes=True) as tell:
        _request(url, part, size, tell)


def _request(url: str, part: Path, size: int | None, tell: Callable[[int, int | None], None]) -> None:
    while size is None or _size(part) < size:
        before = _size(part)
        problem, announced = _transfer(url, part, size, tell)
        size = announced if size is None else size
        if problem is None and size is None:  # the server named no size and closed in good order
            return
        if _size(part) <= before and _size(part) != size and not (before and not _size(part)):
            of = f" of {size}" if size is not None else ""  # nothing gained: this mirror has no more to give
            raise _MirrorFailed(problem or f"it broke off after {_size(part)}{of} bytes")


def digest(path: Path, algorithm: str) -> str:
    """A file's checksum in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _transfer(
    url: str, part: Path, size: int | None, tell: Callable[[int, int | None], None]
) -> tuple[str | None, int | None]:
    """One request that appends to ``part``; returns what broke it off, if anything did, and the size announced."""
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    start = _size(part)
    headers = {"User-Agent": "dlrun"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        response = urlopen(Request(url, headers=headers), timeout=TIMEOUT_S)
    except HTTPError as error:
        error.close()
        if error.code == 416:  # there is nothing after what we have
            if size is None and error.headers.get("Content-Range") == f"bytes */{start}":
                return None, start
            part.unlink(missing_ok=True)  # longer than what this mirror has
        return f"HTTP {error.code} {error.reason}", None
    except (HTTPException, OSError, ValueError) as error:
        return _reason(error), None
    with response:
        goes_on = response.status == 206 and _starts_at(response.headers.get("Content-Range"), start)
        start = start if goes_on else 0
        length = response.headers.get("Content-Length")
        announced = start + int(length) if length is not None else None
        if size is not None and announced not in (None, size):
            raise _MirrorFailed(f"the file there has {announced} bytes, expected {size}")
        whole = announced if size is None else size
        with part.open("ab" if goes_on else "wb", buffering=0) as out:
            limit = None if whole is None else whole - start
            return _copy(response, out, limit, lambda done: tell(start + done, whole)), announced


def _copy(response: HTTPResponse, out: FileIO, limit: int | None, tell: Callable[[int], None]) -> str | None:
    """Copy at most ``limit`` bytes and one more, so that a longer file fails its checksum; ``tell`` how many."""
    from http.client import HTTPException

    left = None if limit is None else limit + 1
    copied = 0
    while left is None or left > 0:
        try:
            chunk = response.read1(_CHUNK if left is None else min(_CHUNK, left))
        except (HTTPException, OSError) as error:
            return _reason(error)
        if not chunk:
            break
        left = None if left is None else left - len(chunk)
        _write(out, chunk)
        copied += len(chunk)
        tell(copied)
    os.fsync(out.fileno())
    return None


def _write(out: FileIO, chunk: bytes) -> None:
    try:
        while chunk:
            chunk = chunk[out.write(chunk) :]
    except OSError as error:
        raise RunError(
            "disk-full",
            f"`{out.name}` cannot be written: {error.strerror}.",
            hint="Free some space, or set `data.root` to another disk.",
        ) from error


def _reason(error: Exception) -> str:
    cause = getattr(error, "reason", error)
    return str(getattr(cause, "strerror", None) or cause or type(error).__name__)


def _starts_at(content_range: str | None, start: int) -> bool:
    return content_range is not None and content_range.strip().startswith(f"bytes {start}-")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
