"""Reading ``.npz`` archives with care: headers without data, never objects, every fault named."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from dlrun.errors import DlrunError


def array_headers(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and type of every array in an archive, by name; the data is not read.

    Raises:
        DlrunError: ``unreadable-file``, ``corrupt-file`` or ``object-array``.
    """
    headers = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                if member.endswith(".npy"):
                    with archive.open(member) as file:
                        headers[member[: -len(".npy")]] = _header(file)
    except _FAULTS as error:
        raise _fault(path, error) from error
    for name, (_, dtype) in headers.items():
        if dtype.hasobject:
            raise DlrunError(
                "object-array",
                f"the array `{name}` in `{path}` holds Python objects, which are never loaded.",
                path=("data", "source"),
                hint="Save it as numbers, e.g. with `x.astype('float32')`.",
            )
    return headers


def load_array(path: Path, name: str) -> np.ndarray:
    """One array of an archive.

    Raises:
        DlrunError: ``unreadable-file`` or ``corrupt-file``.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            array: np.ndarray = arrays[name]
            return array
    except _FAULTS as error:
        raise _fault(path, error) from error


def load_single(path: Path) -> np.ndarray:
    """The array of a ``.npy`` file, or the only one (or the one named ``x``) of a ``.npz`` file.

    Raises:
        DlrunError: ``unreadable-file`` or ``corrupt-file``.
    """
    if path.suffix.lower() == ".npz":
        names = list(array_headers(path))
        if "x" not in names and len(names) != 1:
            raise DlrunError("missing-array", f"`{path}` has no array `x` among {_listed(names)}.")
        return load_array(path, "x" if "x" in names else names[0])
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except _FAULTS as error:
        raise _fault(path, error) from error


_FAULTS = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, KeyError)


def _header(file) -> tuple[tuple[int, ...], np.dtype]:  # type: ignore[no-untyped-def]
    version = npy.read_magic(file)
    shape, _, dtype = (npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0)(file)
    return shape, dtype


def _fault(path: Path, error: Exception) -> DlrunError:
    if isinstance(error, OSError) and error.strerror:
        return DlrunError("unreadable-file", f"`{path}` cannot be read: {error.strerror}.")
    reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    return DlrunError(
        "corrupt-file",
        f"`{path}` is damaged, cut off, or not a numpy archive: {reason}.",
        hint="Write it again with `numpy.save` or `numpy.savez`.",
    )


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{n}`" for n in names) or "none"
