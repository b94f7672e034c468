"""Bringing one remote file into its place: download, checks, unpacking, and a rename when all is well."""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dlrun.data.beginning import HEAD, first_words
from dlrun.data.download import digest, fetch_url
from dlrun.data.remote import RemoteFile, marker_of, name_of, remember, state_of
from dlrun.errors import DlrunError, RunError
from dlrun.errors import Path as KeyPath
from dlrun.files import sync_folder, write_folder

_log = logging.getLogger(__name__)


def fetch_one(file: RemoteFile, target: Path, path: KeyPath) -> None:
    """Fetch a file to ``target``, unless another process is doing so: then wait. What is there is whole.

    Args:
        file: What the recipe says of it.
        target: Where it goes; a folder if it is unpacked.
        path: Its place in the recipe, for errors.

    Raises:
        DlrunError: ``wrong-checksum``, ``page-instead-of-file``, ``not-an-archive``, ``corrupt-archive``,
            ``unsafe-archive``, ``unwritable-folder``.
        RunError: ``download-failed``, ``disk-full``.
    """
    from filelock import FileLock

    part = target.with_name(f".{target.name}.part")
    with disk_faults(target.parent, file.url, ("data", "root"), "Set `data.root` to a folder you may write to."):
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock")):
            if target.exists():  # another process has fetched it while we waited
                return
            sha256 = _downloaded(file, part, path)
            remember(target, file.url, sha256, None if file.unpack else state_of(part))
            if file.unpack:
                _unpack(part, target, file.url, path)
            else:
                part.replace(target)
                sync_folder(target.parent)


@contextmanager
def disk_faults(folder: Path, what: str, path: KeyPath, hint: str) -> Iterator[None]:
    """Say what keeps something from being written to a folder.

    Args:
        folder: Where to.
        what: What is written.
        path: Place in the recipe that says where to.
        hint: What to do where one may not write.

    Raises:
        DlrunError: ``unwritable-folder``.
        RunError: ``disk-full``.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunError(
                "disk-full",
                f"`{folder}` has no room for `{what}`.",
                hint="Free some space, or set `data.root` to another disk.",
            ) from error
        said = f"`{folder}` cannot be written: {error.strerror or error}."
        raise DlrunError("unwritable-folder", said, path=path, hint=hint) from error


def _downloaded(file: RemoteFile, part: Path, path: KeyPath) -> str:
    """Bring ``part`` to completion and check it; its SHA-256."""
    if file.sha256 is None:
        part.unlink(missing_ok=True)  # nothing would tell whether it is the beginning of the same file
    while True:
        resumed = part.exists()
        _log.info("fetching %s", file.url)
        try:
            fetch_url(file.url, part)
        except RunError as error:
            if error.code == "download-failed":
                error.path = (*path, "url")
            raise
        sha256 = digest(part, "sha256")
        problem = _problem(file, part, sha256, path)
        if problem is None:
            return sha256
        part.unlink()
        if not resumed:
            raise problem


def _problem(file: RemoteFile, part: Path, sha256: str, path: KeyPath) -> DlrunError | None:
    if file.sha256 is not None and sha256 == file.sha256.lower():
        return None
    with part.open("rb") as arrived:
        head = arrived.read(HEAD)
    what = f"{part.stat().st_size:,} bytes that begin with `{first_words(head)}`"
    is_page = re.match(rb"(\xef\xbb\xbf)?\s*(<!doctype html|<html)", head, re.IGNORECASE) is not None
    if is_page and (file.sha256 is not None or file.unpack or not re.search(r"\.html?$", name_of(file))):
        return DlrunError(
            "page-instead-of-file",
            f"`{file.url}` answers with a web page, not with a file: {what}.",
            path=(*path, "url"),
            hint="Use the address that the file itself has; some sites want a login or a confirmation first.",
        )
    if file.sha256 is not None:
        return DlrunError(
            "wrong-checksum",
            f"`{file.url}` has the SHA-256 `{sha256}`, but the recipe says {file.sha256}; {what} arrived.",
            path=(*path, "sha256"),
            hint="Correct `sha256` if the file was published anew; else do not use what arrived.",
        )
    if file.unpack:
        from dlrun.data.unpacking import is_archive

        if not is_archive(part):
            return DlrunError(
                "not-an-archive",
                f"`{file.url}` is to be unpacked, but is neither a zip nor a tar archive: {what} arrived.",
                path=(*path, "unpack"),
                hint="Remove `unpack`, or correct the address.",
            )
    return None


def _unpack(archive: Path, target: Path, url: str, path: KeyPath) -> None:
    """Make the archive the folder ``target``; it is gone then, or if it is bad."""
    try:
        unpack_into(archive, target, url, path)
    except RunError:  # no room; the archive is sound
        raise
    except DlrunError:
        archive.unlink()
        marker_of(target).unlink(missing_ok=True)
        raise
    archive.unlink()


def unpack_into(archive: Path, target: Path, name: str, path: KeyPath) -> None:
    """Unpack an archive to the folder ``target``, which appears in one step when it is whole.

    Args:
        archive: A zip or tar file.
        target: The folder; not there yet.
        name: What errors call the archive.
        path: Its place in the recipe.

    Raises:
        DlrunError: ``corrupt-archive`` or ``unsafe-archive``.
        RunError: ``disk-full``, before it is so.
    """
    from dlrun.data.unpacking import unpack

    def fill(folder: Path) -> None:
        unpack(archive, folder, name, path)
        if hasattr(os, "sync"):
            os.sync()  # many files: one wait for all, before the name that says they are whole

    write_folder(target, fill)
