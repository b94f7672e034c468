"""Where the samples of tar files lie: read from headers once, kept as a few arrays."""

from __future__ import annotations

import glob
import hashlib
import io
import itertools
import json
import logging
import os
import re
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dlrun.data.beginning import HEAD, first_words
from dlrun.data.images import SUFFIXES
from dlrun.data.published import cache_folder
from dlrun.errors import DlrunError
from dlrun.files import write_atomic

_FORM = 6
"""Changes whenever an index means something else."""
_PACKED = {b"\x1f\x8b\x08": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_TAR = slice(257, 262)
"""Where a tar file says ``ustar``; it begins with the name of a file, which may look like anything."""
_CHUNK = 1 << 20
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shard:
    """The samples of one tar file: some twenty bytes each.

    Args:
        path: The file.
        offset: Where each image begins, int64 (N,).
        size: How many bytes it has, int64 (N,).
        label: Number of each label's text in ``labels``, int32 (N,).
        labels: The different labels, as written.
        faults: What is wrong with members or the file, and how often; each is named once.
        lost: Each sample that is none, by the name of its members, and what is wrong with it.
    """

    path: str
    offset: np.ndarray
    size: np.ndarray
    label: np.ndarray
    labels: tuple[str, ...]
    faults: dict[str, int]
    lost: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.offset)

    def image(self, number: int) -> bytes:
        """An image file.

        Raises:
            DlrunError: ``unreadable-file`` or ``truncated-file``.
        """
        return read_at(self.path, int(self.offset[number]), int(self.size[number]))

    def name(self, number: int) -> str:
        """The shard and the name of an image in it."""
        return f"{self.path}:{name_at(self.path, int(self.offset[number]))}"

    def kept(self, keep: np.ndarray) -> Shard:
        """The samples of a mask, bool (N,)."""
        return replace(self, offset=self.offset[keep], size=self.size[keep], label=self.label[keep])


class _Faults:
    """What was found wrong in a shard, and with which samples."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        self.lost: list[tuple[str, str]] = []

    def add(self, what: str, sample: str | None = None) -> None:
        self.count[what] += 1
        if sample is not None:
            self.lost.append((sample, what))


def expanded(pattern: str) -> list[str]:
    """Names that a pattern stands for: ``{000..009}`` counts, ``{a,b}`` lists; several of them multiply."""
    parts = [_alternatives(p) for p in re.split(r"(\{[^{}]*\})", pattern)]
    return ["".join(choice) for choice in itertools.product(*parts)]


def _alternatives(part: str) -> list[str]:
    if not part.startswith("{"):
        return [part]
    counted = re.fullmatch(r"\{(\d+)\.\.(\d+)\}", part)
    if counted is None:
        return part[1:-1].split(",") if "," in part else [part]
    low, high = counted[1], counted[2]
    padded = any(len(bound) > 1 and bound.startswith("0") for bound in (low, high))
    width = max(len(low), len(high)) if padded else 0
    return [f"{number:0{width}}" for number in range(int(low), int(high) + 1)]


def matched(name: str, bases: list[Path]) -> list[str]:
    """Files that a name with ``*``, ``?`` or ``[…]`` stands for, sorted; below the first base that has any."""
    for base in bases:
        if found := sorted(
            glob.glob(str(Path(name)) if os.path.isabs(name) else os.path.join(glob.escape(str(base)), name))
        ):
            return found
    return []


def indexed(path: Path, key: str) -> Shard:
    """The index of a shard; kept in the user's cache folder while the file's size and time of change are the same.

    Args:
        path: The tar file.
        key: Field of a ``.json`` member that holds the label.

    Raises:
        DlrunError: ``compressed-shard``, ``not-a-tar`` or ``unreadable-file``.
    """
    try:
        status = path.stat()
        state = np.array([_FORM, status.st_size, status.st_mtime_ns], np.int64)
        said = f"{path.absolute()}\0{key}"
        kept = cache_folder("shards") / f"{hashlib.sha256(os.fsencode(said)).hexdigest()[:32]}.npz"
        if (shard := _load(kept, path, state)) is not None:
            return shard
        _log.info("reading the headers of %s", path)
        shard = _read(path, key)
    except OSError as error:
        raise DlrunError(
            "unreadable-file", f"`{path}` cannot be read: {error.strerror or error}.", path=("data", "source")
        ) from error
    _save(kept, shard, state)
    return shard


def name_at(path: str, offset: int) -> str:
    """Name of the member whose data begin at an offset (its first 100 bytes), for people."""
    try:
        with open(path, "rb") as file:
            file.seek(offset - tarfile.BLOCKSIZE)
            return tarfile.TarInfo.frombuf(file.read(tarfile.BLOCKSIZE), "utf-8", "surrogateescape").name
    except (OSError, tarfile.TarError):
        return f"byte {offset}"


def read_at(path: str, offset: int, size: int) -> bytes:
    """A member's data.

    Raises:
        DlrunError: ``unreadable-file`` or ``truncated-file``.
    """
    try:
        handle = os.open(path, os.O_RDONLY)
        try:
            data = os.pread(handle, size, offset)
            while data and len(data) < size and (more := os.pread(handle, size - len(data), offset + len(data))):
                data += more
        finally:
            os.close(handle)
    except OSError as error:
        raise DlrunError(
            "unreadable-file", f"`{path}` cannot be read: {error.strerror}.", path=("data", "source")
        ) from error
    if len(data) < size:
        raise DlrunError(
            "truncated-file",
            f"`{path}` is cut off: of `{name_at(path, offset)}`, {size:,} bytes at offset {offset:,}, "
            f"{len(data):,} are there.",
            path=("data", "source"),
            hint="It had them when its headers were read. Write the shard again.",
        )
    return data


def _read(path: Path, key: str) -> Shard:
    offsets, sizes, labels = [], [], []
    numbers: dict[str, int] = {}
    faults = _Faults()
    with open(path, "rb") as file:
        head = file.read(tarfile.BLOCKSIZE)
        packed = next((kind for mark, kind in _PACKED.items() if head.startswith(mark)), None)
        if packed is not None and head[_TAR] != b"ustar":
            raise DlrunError(
                "compressed-shard",
                f"`{path}` is compressed with {packed}; samples are read from the middle of a shard, and a "
                "compressed one can only be read from its beginning.",
                path=("data", "source"),
                hint="Decompress it, e.g. with `gunzip`; images in it are compressed anyway.",
            )
        if not _begins_as_tar(head):
            file.seek(0)
            raise DlrunError(
                "not-a-tar",
                f"`{path}` is no tar file: it begins with `{first_words(file.read(HEAD))}`.",
                path=("data", "source"),
                hint="Put the shard in its place; what is here may be the page of a site that wanted a login.",
            )
        for name, members in _samples(file, faults):
            images = [m for e, m in members.items() if f".{e}" in SUFFIXES]
            label = _label(file, members, key, name, faults)
            for ending in members:
                if f".{ending}" not in SUFFIXES and ending not in ("cls", "json"):
                    faults.add(f"`.{ending}` members, which are passed over")
            if len(images) != 1:
                said = "with more than one image" if images else "without an image"
                faults.add(f"samples {said} (`.jpg`, `.png`, `.webp`, `.bmp`)", name)
            elif label is not None:
                offsets.append(images[0].offset_data)
                sizes.append(images[0].size)
                labels.append(numbers.setdefault(label, len(numbers)))
    return Shard(
        str(path),
        np.array(offsets, np.int64),
        np.array(sizes, np.int64),
        np.array(labels, np.int32),
        tuple(numbers),
        dict(faults.count),
        tuple(faults.lost),
    )


def _begins_as_tar(head: bytes) -> bool:
    """Whether the first block is that of a tar file, perhaps of a damaged one or one cut short."""
    if head[_TAR] == b"ustar" or not head.strip(b"\0"):
        return True
    if len(head) < tarfile.BLOCKSIZE:  # a member's name, zeros behind it
        return b"\0" in head and not head[head.index(b"\0") : 100].strip(b"\0")
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _samples(file: io.BufferedReader, faults: _Faults) -> Iterator[tuple[str, dict[str, tarfile.TarInfo]]]:
    """Each sample's name and members by ending: consecutive members of one name up to its first dot."""
    for name, group in itertools.groupby(_members(file, faults), lambda m: _split(m.name)[0]):
        members: dict[str, tarfile.TarInfo] = {}
        twice: set[str] = set()
        for member in group:
            ending = _split(member.name)[1]
            if ending in members:
                twice.add(ending)
            members[ending] = member
        for ending in sorted(twice):
            faults.add(f"samples with more than one `.{ending}` member", name)
        if not twice:
            yield name, members


def _split(name: str) -> tuple[str, str]:
    folder, _, base = name.rpartition("/")
    stem, _, ending = base.partition(".")
    return f"{folder}/{stem}" if folder else stem, ending.lower()


def _members(file: io.BufferedReader, faults: _Faults) -> Iterator[tarfile.TarInfo]:
    """Files in a tar file, whole ones; where it does not end as it should, that is a fault."""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    at = 0
    try:
        with tarfile.open(fileobj=file, mode="r:", errorlevel=2) as archive:
            while (member := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # tarfile would keep them all
                if member.offset_data + (member.size if member.isreg() else 0) > end:
                    break
                at = archive.offset
                if os.path.basename(member.name).startswith("."):
                    continue
                if member.isreg():
                    yield member
                elif not member.isdir():
                    faults.add("members other than files (links, devices), which are passed over")
    except (tarfile.TarError, EOFError):
        pass
    file.seek(at)
    mark = file.read(tarfile.BLOCKSIZE)
    ended = mark == bytes(tarfile.BLOCKSIZE)
    while ended and (chunk := file.read(_CHUNK)):  # a block of zeros within the file would pass for its end
        ended = not chunk.strip(b"\0")
    if not ended:
        kind = "is cut off" if len(mark) < tarfile.BLOCKSIZE else "is damaged or cut off"
        faults.add(f"the file {kind} after byte {min(at, end):,} of {end:,}")


def _label(
    file: io.BufferedReader, members: dict[str, tarfile.TarInfo], key: str, name: str, faults: _Faults
) -> str | None:
    """A sample's label as written; None, and a fault, where there is none."""
    member = members.get("cls") or members.get("json")
    if member is None:
        faults.add("samples without a label (`.cls` or `.json`)", name)
        return None
    file.seek(member.offset_data)
    try:
        text = file.read(member.size).decode()
        if member is members.get("cls"):
            return text.strip()
        value = json.loads(text)[key]
    except KeyError:
        faults.add(f"`.json` members without `{key}`", name)
        return None
    except (ValueError, TypeError):
        faults.add("`.cls` or `.json` members that cannot be read", name)
        return None
    if isinstance(value, bool) or not isinstance(value, int | str):
        faults.add(f"`.json` members whose `{key}` is neither a number nor text", name)
        return None
    return str(value)


def _load(kept: Path, path: Path, state: np.ndarray) -> Shard | None:
    try:
        with np.load(kept, allow_pickle=False) as stored:
            if not np.array_equal(stored["state"], state):
                return None
            labels, faults, lost = json.loads(str(stored["texts"]))
            places = stored["offset"], stored["size"], stored["label"]
            return Shard(str(path), *places, tuple(labels), faults, tuple((name, what) for name, what in lost))
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error):
        return None


def _save(kept: Path, shard: Shard, state: np.ndarray) -> None:
    data = io.BytesIO()
    texts = np.array(json.dumps([shard.labels, shard.faults, shard.lost]))
    np.savez(data, state=state, offset=shard.offset, size=shard.size, label=shard.label, texts=texts)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(kept, data.getvalue())
    except OSError as error:  # then headers are read again each time
        _log.warning("`%s` cannot be written: %s", kept, error.strerror or error)
