"""The IDX array format of MNIST, plain or gzipped (LeCun, "The MNIST database", 1998)."""

from __future__ import annotations

import gzip
import struct
import zlib
from math import prod
from pathlib import Path

import numpy as np

from dlrun.errors import DlrunError

_AGAIN = "Delete it to have it downloaded again."
_REPLACE = "Get it again from where it came from."
_GZIP = b"\x1f\x8b"
_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def parse_idx(data: bytes, name: str, hint: str = _AGAIN) -> np.ndarray:
    """Decode the bytes of an IDX file.

    Args:
        data: The file, gzipped or not.
        name: What errors call it.
        hint: What they say can be done.

    Raises:
        DlrunError: ``corrupt-file`` or ``truncated-file``.
    """
    if data[:2] == _GZIP:
        data = _unpack(data, name, hint)
    shape, dtype = _header(data, name, hint)
    begin = 4 + 4 * len(shape)
    wanted, found = prod(shape) * dtype.itemsize, len(data) - begin
    if found < wanted:
        raise _truncated(name, f"its header announces {wanted} bytes, {found} are there", hint)
    if found > wanted:
        raise _corrupt(f"`{name}` has {found - wanted} bytes after its last value", hint)
    array = np.frombuffer(data, dtype, offset=begin).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def read_idx(path: Path) -> np.ndarray:
    """The array of an IDX file of the user's.

    Raises:
        DlrunError: ``unreadable-file``, ``corrupt-file`` or ``truncated-file``.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error
    return parse_idx(data, str(path), _REPLACE)


def idx_header(path: Path) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of an IDX file's array; the values are not read.

    Raises:
        DlrunError: ``unreadable-file``, ``corrupt-file`` or ``truncated-file``.
    """
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == _GZIP
        with gzip.open(path) if packed else open(path, "rb") as begun:
            data = begun.read(4 + 4 * 255)
    except EOFError as error:
        raise _truncated(str(path), "its compressed data ends early", _REPLACE) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise _corrupt(f"`{path}` is not a sound gzip file: {error}", _REPLACE) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    return _header(data, str(path), _REPLACE)


def _header(data: bytes, name: str, hint: str) -> tuple[tuple[int, ...], np.dtype]:
    if len(data) < 4:
        raise _truncated(name, "its header is not complete", hint)
    zero, code, rank = struct.unpack(">HBB", data[:4])
    if zero != 0 or code not in _DTYPES or rank == 0:
        raise _corrupt(f"`{name}` does not begin like an IDX file (bytes `{data[:4].hex(' ')}`)", hint)
    if len(data) < 4 + 4 * rank:
        raise _truncated(name, "its header is not complete", hint)
    return struct.unpack(f">{rank}I", data[4 : 4 + 4 * rank]), np.dtype(_DTYPES[code])


def _unpack(data: bytes, name: str, hint: str) -> bytes:
    try:
        return gzip.decompress(data)
    except EOFError as error:
        raise _truncated(name, "its compressed data ends early", hint) from error
    except (OSError, zlib.error) as error:
        raise _corrupt(f"`{name}` is not a sound gzip file: {error}", hint) from error


def _truncated(name: str, detail: str, hint: str) -> DlrunError:
    return DlrunError("truncated-file", f"`{name}` is cut off: {detail}.", hint=hint)


def _corrupt(detail: str, hint: str) -> DlrunError:
    return DlrunError("corrupt-file", f"{detail}.", hint=hint)


def _unreadable(path: Path, error: OSError) -> DlrunError:
    return DlrunError("unreadable-file", f"`{path}` cannot be read: {error.strerror or error}.")
