"""Which images cannot be decoded, found out once for each file."""

from __future__ import annotations

import hashlib
import io
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from dlrun.data.images import each, why_undecodable, why_unreadable
from dlrun.data.listing import Files
from dlrun.data.published import cache_folder
from dlrun.data.shards import Shard
from dlrun.data.waiting import waiting
from dlrun.errors import DlrunError
from dlrun.files import write_atomic

_RULES = b"1"
"""Changes whenever other files count as readable than before."""
_BLOCK, _TOLD = 20_000, 500
NAMED = 3
"""How many files a note names."""
_AGAIN = "readable again"
_log = logging.getLogger(__name__)


def readable(files: Files, folder: Path) -> np.ndarray:
    """Which files can be decoded: bool (N,).

    Every file is decoded once; what came of it is kept in the user's cache folder, and counts for as long as the
    file's path, size and time of change are the same.

    Args:
        files: The files.
        folder: What they are a listing of; names what is kept.
    """
    return _found_out(
        len(files), folder, lambda i: _key(files.path(i)), lambda i: why_unreadable(files.path(i)) is None
    )


def readable_in(shard: Shard) -> np.ndarray:
    """Which images of a shard can be decoded: bool (N,); found out once for each state of the file.

    Raises:
        DlrunError: ``unreadable-file`` or ``truncated-file``.
    """
    file = _key(shard.path).to_bytes(8, "little")

    def key(number: int) -> int:
        return _digest(file + b"%d.%d" % (shard.offset[number], shard.size[number]))

    return _found_out(len(shard), Path(shard.path), key, lambda i: why_undecodable(shard.image(i)) is None)


def _found_out(count: int, place: Path, key: Callable[[int], int], decodes: Callable[[int], bool]) -> np.ndarray:
    """Which of so many images can be decoded, by 64 bits that stand for each; ``place`` names what is kept."""
    keys = np.zeros(count, np.uint64)

    def note(number: int) -> None:
        keys[number] = key(number)

    def look(number: int) -> None:
        sound[number] = decodes(number)

    for block in _blocks(np.arange(count)):
        _all(block, note)
    kept = cache_folder("readable") / f"{hashlib.sha256(os.fsencode(place.absolute())).hexdigest()[:32]}.npy"
    good, bad = _load(kept)
    sound = np.isin(keys, good)
    seen = sound | np.isin(keys, bad)
    unknown = np.flatnonzero(~seen)
    if not len(unknown):
        return sound
    with waiting(f"decoding the images of {place.name}") as tell:
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


def said(lost: Sequence[Image], count: int, split: str) -> tuple[str, ...]:
    """A sentence on the images left out of so many, if there are any."""
    if not lost:
        return ()
    listed = ", ".join(f"`{image.name}` ({image.fault})" for image in lost[:NAMED])
    more = f" and {len(lost) - NAMED:,} more" if len(lost) > NAMED else ""
    are = "is" if len(lost) == 1 else "are"
    return (f"{len(lost):,} of {count:,} {split} images {are} left out as unreadable: {listed}{more}.",)


def named(lost: Sequence[Image]) -> list[str]:
    """Every image that is left out, with the reason."""
    return [f"`{image.name}`: {image.fault}" for image in lost]


class Image(Protocol):
    """An image that is left out."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def fault(self) -> str:
        """What is wrong with it; looked at only when asked for."""


@dataclass(frozen=True)
class FileOf:
    """An image in a file of its own."""

    name: str

    @property
    def fault(self) -> str:
        """What keeps it from being decoded."""
        return why_unreadable(self.name) or _AGAIN


@dataclass(frozen=True)
class MemberOf:
    """An image in a shard."""

    shard: Shard
    number: int

    @property
    def name(self) -> str:
        """The shard and its name there."""
        return self.shard.name(self.number)

    @property
    def fault(self) -> str:
        """What keeps it from being decoded."""
        try:
            return why_undecodable(self.shard.image(self.number)) or _AGAIN
        except DlrunError as error:  # the file has changed since
            return error.message


def _key(path: str) -> int:
    """64 bits that stand for a file as it is now; 0 for one that is gone."""
    try:
        status = os.stat(path)
    except OSError:
        return 0
    state = f"{status.st_size}.{status.st_mtime_ns}.".encode()
    return _digest(state + os.fsencode(os.path.abspath(path)))


def _digest(state: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(state, digest_size=8, key=_RULES).digest(), "little") or 1


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
