"""Unpacking zip and tar archives that come from elsewhere: nothing lands outside the folder, nothing is a device."""

from __future__ import annotations

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from dlrun.errors import DlrunError, RunError
from dlrun.errors import Path as KeyPath

_BAD_STREAM = (EOFError, zlib.error, lzma.LZMAError, OSError)
_DAMAGE = (*_BAD_STREAM, tarfile.TarError, zipfile.BadZipFile, RuntimeError, ValueError)


def is_archive(path: Path) -> bool:
    """Whether a file can be unpacked."""
    try:
        return zipfile.is_zipfile(path) or tarfile.is_tarfile(path)
    except _BAD_STREAM:
        return False


def unpack(archive: Path, folder: Path, name: str, path: KeyPath = ()) -> None:
    """Unpack all of an archive into a folder that nobody else sees yet.

    Args:
        archive: A zip file or a tar file, the latter plain or compressed with gzip, bzip2 or xz.
        folder: Where to.
        name: What errors call the archive.
        path: Its place in the recipe.

    Raises:
        DlrunError: ``corrupt-archive``; ``unsafe-archive`` for a member that would leave the folder, a link that
            leads out of it, or a device.
        RunError: ``disk-full``, before it is so.
    """
    try:
        if zipfile.is_zipfile(archive) and not tarfile.is_tarfile(archive):
            _unpack_zip(archive, folder, name, path)
        else:
            _unpack_tar(archive, folder, name, path)
    except tarfile.FilterError as error:
        raise _unsafe(name, str(error), path) from error
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk's fault, not the archive's
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise DlrunError(
            "corrupt-archive",
            f"`{name}` cannot be unpacked: {reason}.",
            path=path,
            hint="Fetch it again; if that does not help, its publisher has to.",
        ) from error


def _unpack_tar(archive: Path, folder: Path, name: str, path: KeyPath) -> None:
    free, needed = shutil.disk_usage(folder).free, 0

    def allowed(member: tarfile.TarInfo, destination: str) -> tarfile.TarInfo | None:
        nonlocal needed
        needed += member.size
        _check_room(needed, free, name, folder)
        return tarfile.data_filter(member, destination)

    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter=allowed)
        assert tar.fileobj is not None
        tar.fileobj.seek(tar.offset)  # tarfile takes a damaged header, and a missing one, for the end
        if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError(f"it is damaged or cut off at byte {tar.offset:,}")


def _unpack_zip(archive: Path, folder: Path, name: str, path: KeyPath) -> None:
    with zipfile.ZipFile(archive) as packed:
        members = packed.infolist()
        _check_room(sum(m.file_size for m in members), shutil.disk_usage(folder).free, name, folder)
        for member in members:
            inside = PurePosixPath(member.filename.replace("\\", "/"))
            if inside.is_absolute() or ".." in inside.parts:
                raise _unsafe(name, f"'{member.filename}' would be extracted outside the folder", path)
            mode = member.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _unsafe(name, f"'{member.filename}' is a link or a special file", path)
        packed.extractall(folder)


def _check_room(needed: int, free: int, name: str, folder: Path) -> None:
    if needed > free:
        raise RunError(
            "disk-full",
            f"`{name}` holds {needed:,} bytes or more, and `{folder.parent}` has room for {free:,}.",
            hint="Free some space, or set `data.root` to another disk.",
        )


def _unsafe(name: str, reason: str, path: KeyPath) -> DlrunError:
    return DlrunError(
        "unsafe-archive",
        f"`{name}` is not unpacked: {reason}.",
        path=path,
        hint="Unpack it yourself where it can do no harm, and name the folder in `data.root`.",
    )
