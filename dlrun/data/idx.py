"""The IDX array format of MNIST, plain or gzipped (LeCun, "The MNIST database", 1998)."""

from __future__ import annotations

import gzip
import struct
import zlib
from math import prod

import numpy as np

from dlrun.errors import DlrunError

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def parse_idx(data: bytes, name: str) -> np.ndarray:
    """Decode the bytes of an IDX file; ``name`` is what errors call it.

    Raises:
        DlrunError: ``corrupt-file`` or ``truncated-file``.
    """
    if data[:2] == b"\x1f\x8b":
        data = _unpack(data, name)
    if len(data) < 4:
        raise _truncated(name, "its header is not complete")
    zero, code, rank = struct.unpack(">HBB", data[:4])
    if zero != 0 or code not in _DTYPES or rank == 0:
        raise DlrunError(
            "corrupt-file",
            f"`{name}` does not begin like an IDX file (bytes `{data[:4].hex(' ')}`).",
            hint="Delete it to have it downloaded again.",
        )
    if len(data) < 4 + 4 * rank:
        raise _truncated(name, "its header is not complete")
    shape = struct.unpack(f">{rank}I", data[4 : 4 + 4 * rank])
    dtype = np.dtype(_DTYPES[code])
    wanted, found = prod(shape) * dtype.itemsize, len(data) - 4 - 4 * rank
    if found < wanted:
        raise _truncated(name, f"its header announces {wanted} bytes, {found} are there")
    if found > wanted:
        raise DlrunError(
            "corrupt-file",
            f"`{name}` has {found - wanted} bytes after its last value.",
            hint="Delete it to have it downloaded again.",
        )
    array = np.frombuffer(data, dtype, offset=4 + 4 * rank).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def _unpack(data: bytes, name: str) -> bytes:
    try:
        return gzip.decompress(data)
    except EOFError as error:
        raise _truncated(name, "its compressed data ends early") from error
    except (OSError, zlib.error) as error:
        raise DlrunError(
            "corrupt-file",
            f"`{name}` is not a sound gzip file: {error}.",
            hint="Delete it to have it downloaded again.",
        ) from error


def _truncated(name: str, detail: str) -> DlrunError:
    return DlrunError(
        "truncated-file", f"`{name}` is cut off: {detail}.", hint="Delete it to have it downloaded again."
    )
