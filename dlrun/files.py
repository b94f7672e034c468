"""Writing files so that a crash leaves the old file or the new one, never half of either."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def sync_folder(folder: Path) -> None:
    """Make renames and new entries in ``folder`` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_synced(path: Path, data: bytes) -> None:
    """Write a file and wait until it is on disk; for files nobody can see yet."""
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_atomic(path: Path, data: bytes) -> None:
    """Replace ``path`` in one step: temporary name beside it, sync, rename.

    Raises:
        OSError: When it cannot be written; the old file is untouched and nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write_synced(temporary, data)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """``write_atomic`` of indented JSON; names that are no UTF-8 become JSON's escapes."""
    write_atomic(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace"))


def as_json(value: Any) -> Any:
    """The value as JSON can say it: paths as text, arrays as lists, infinite numbers and NaN as null."""
    if isinstance(value, Mapping):
        return {str(k): as_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [as_json(v) for v in value]
    if hasattr(value, "tolist"):
        return as_json(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, (str, int, bool, type(None))) else str(value)


def json_bytes(value: Any, indent: int | None = 2) -> bytes:
    """A JSON document of ``as_json``, one line without ``indent``; names that are no UTF-8 become JSON's escapes."""
    text = json.dumps(as_json(value), indent=indent, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "backslashreplace")


def write_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Create or replace a folder in one visible step.

    Args:
        path: Where the folder appears.
        fill: Writes its files (synced) into the temporary folder it is given.

    Raises:
        OSError: When it cannot be written; an existing folder is untouched.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    old = path.with_name(f".{path.name}.old")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir()
        fill(temporary)
        sync_folder(temporary)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    if path.exists():
        os.rename(path, old)
    os.rename(temporary, path)
    sync_folder(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def recover_folders(parent: Path) -> None:
    """Finish what a crash in ``write_folder`` interrupted: drop halves, put a moved folder back."""
    for left in parent.glob(".*.tmp"):
        shutil.rmtree(left, ignore_errors=True)
    for old in parent.glob(".*.old"):
        path = old.with_name(old.name[1 : -len(".old")])
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.rename(old, path)
