"""Which image files cannot be decoded, found out once for each file."""

from __future__ import annotations

import hashlib
import io
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from dlrun.data.images import each, why_unreadable
from dlrun.data.listing import Files
from dlrun.data.published import cache_folder
from dlrun.data.waiting import waiting
from dlrun.files import write_atomic

_RULES = b"1"
"""Changes whenever other files count as readable than before."""
_BLOCK, _TOLD = 20_000, 500
NAMED = 3
"""How many files a note names."""
_log = logging.getLogger(__name__)


def readable(files: Files, folder: Path) -> np.ndarray:
    """Which files can be decoded: bool (N,).

    Every file is decoded once; what came of it is kept in the user's cache folder, and counts for as long as the
    file's path, size and time of change are the same.

    Args:
        files: The files.
        folder: What they are a listing of; names what is kept.
    """
    keys = np.zeros(len(files), np.uint64)

    def key(number: int) -> None:
        keys[number] = _key(files.path(number))

    def look(number: int) -> None:
        sound[number] = why_unreadable(files.path(number)) is None

    for block in _blocks(np.arange(len(files))):
        _all(block, key)
    kept = cache_folder("readable") / f"{hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:32]}.npy"
    good, bad = _load(kept)
    sound = np.isin(keys, good)
    seen = sound | np.isin(keys, bad)
    unknown = np.flatnonzero(~seen)
    if not len(unknown):
        return sound
    with waiting(f"decoding the images of {folder.name}") as tell:
        for i, block in enumerate(_blocks(unknown)):
            for j in range(0, len(block), _TOLD):
                _all(block[j : j + _TOLD], look)
                tell(i * _BLOCK + min(j + _TOLD, len(block)), len(unknown))
            seen[block] = True
            _save(kept, keys[sound & seen], keys[~sound & seen & (keys != 0)])  # an interruption loses a block
    return sound


def _blocks(numbers: np.ndarray) -> list[np.ndarray]:
    return [numbers[i : i + _BLOCK] for i in range(0, len(numbers), _BLOCK)]


def _all(numbers: np.ndarray, work: Callable[[int], None]) -> None:
    each(len(numbers), lambda i: work(int(numbers[i])))


def said(files: Files, sound: np.ndarray, split: str) -> tuple[str, ...]:
    """A sentence on the files left out, if there are any."""
    bad = np.flatnonzero(~sound)
    if not len(bad):
        return ()
    listed = ", ".join(f"`{p}` ({_why(p)})" for p in (files.path(int(i)) for i in bad[:NAMED]))
    more = f" and {len(bad) - NAMED:,} more" if len(bad) > NAMED else ""
    are = "is" if len(bad) == 1 else "are"
    return (f"{len(bad):,} of {len(files):,} {split} images {are} left out as unreadable: {listed}{more}.",)


def named(paths: Sequence[str]) -> list[str]:
    """Every file that is left out, with the reason."""
    return [f"`{path}`: {_why(path)}" for path in paths]


def _why(path: str) -> str:
    return why_unreadable(path) or "readable again"


def _key(path: str) -> int:
    """64 bits that stand for a file as it is now; 0 for one that is gone."""
    try:
        status = os.stat(path)
    except OSError:
        return 0
    state = f"{status.st_size}.{status.st_mtime_ns}.".encode()
    digest = hashlib.blake2b(state + os.fsencode(os.path.abspath(path)), digest_size=8, key=_RULES)
    return int.from_bytes(digest.digest(), "little") or 1


def _load(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Keys of readable files and of unreadable ones; none where nothing, or nothing sound, was kept."""
    try:
        stored = np.load(path, allow_pickle=False)
        return stored[1 : 1 + int(stored[0])], stored[1 + int(stored[0]) :]
    except (OSError, ValueError, EOFError, IndexError):
        return np.empty(0, np.uint64), np.empty(0, np.uint64)


def _save(path: Path, good: np.ndarray, bad: np.ndarray) -> None:
    data = io.BytesIO()
    np.save(data, np.concatenate([np.array([len(good)], np.uint64), good, bad]))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data.getvalue())
    except OSError as error:  # then every command looks again
        _log.warning("`%s` cannot be written: %s", path, error.strerror or error)
