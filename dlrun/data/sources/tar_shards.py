"""Images in tar files."""

from __future__ import annotations

import os
import re
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt

from dlrun.data.images import Fit, decode_image, each
from dlrun.data.locate import locate
from dlrun.data.pictures import Pictures
from dlrun.data.shards import Shard, expanded, indexed, matched
from dlrun.data.source import Place, Signature, Split, sources
from dlrun.data.unreadable import MemberOf, named, readable_in, said
from dlrun.errors import DlrunError, all_of, did_you_mean
from dlrun.graph.tensor import TensorType

_NAMED = 3


@sources("tar_shards")
class TarShards(Pictures):
    """Images and labels in tar files, as WebDataset writes them; for data larger than memory.

    A sample is a run of members whose names are the same up to the first dot of the file's name: an image
    (``0001.jpg``, ``.jpeg``, ``.png``, ``.webp``, ``.bmp``) and a label, ``0001.cls`` with its text or ``0001.json``
    with a field. The headers of each file are read once; then any sample is read when its turn comes, so that
    shuffling is exact over all files, however many samples each has. Images become as those of ``image_folder`` do.

    Args:
        train: The training split's files, one name or a list; ``{000..009}`` counts, ``{a,b}`` lists, and ``*``,
            ``?``, ``[…]`` match. Relative to ``data.root`` or the working folder.
        test: The test split's files, or none.
        label: The field of ``.json`` members that holds the label.
        classes: Number of classes, or their names in the order of ids, with which labels may be names; the largest
            label plus one when left out.
        unreadable: Whether samples without image or label, with two images or members of one name, and files cut short
            ``stop`` the run, as do images that cannot be decoded when their turn comes; or all are left out and
            counted: ``skip`` decodes each image once, before training.
    """

    known_as = ("tar", "webdataset", "wds")

    train: str | tuple[str, ...]
    test: str | tuple[str, ...] | None = None
    label: str = "label"
    classes: Annotated[int, Gt(0)] | tuple[str, ...] | None = None
    unreadable: Literal["stop", "skip"] = "stop"

    def signature(self, place: Place) -> Signature:
        splits: tuple[Split, ...] = ("train",) if self.test is None else ("train", "test")
        reader, *tests = all_of(partial(self.open, split, place) for split in splits)
        if not len(reader):
            said = " ".join([f"the shards of `{_said(self.train)}` hold no samples.", *reader.notes])
            raise _wrong("empty-data", said.removesuffix("."), "train")
        sizes, notes, highest = {"train": len(reader)}, reader.notes, int(reader.y.max())
        for test in tests:
            notes += test.notes
            if len(test):
                sizes["test"], highest = len(test), max(highest, int(test.y.max()))
        names = self.classes if isinstance(self.classes, tuple) else None
        return Signature(
            input=TensorType(self.shape),
            target=TensorType((), "int"),
            classes=self._count or place.classes or highest + 1,
            class_names=names,
            sizes=sizes,
            scale=1 / 255,
            notes=notes,
        )

    def open(self, split: Split, place: Place) -> ShardReader:
        patterns = self.train if split == "train" else self.test
        if patterns is None:
            raise _wrong("missing-split", "`data.source.test` names no files", "test")
        shards = [indexed(path, self.label) for path in _files(patterns, place, split)]
        notes = self._judged(shards, split)
        incomplete = [f"`{s.path}:{name}`: {_number_of(1, what)}" for s in shards for name, what in s.lost]
        lost: list[MemberOf] = []
        if self.unreadable == "skip":
            sound = [readable_in(shard) for shard in shards]
            for shard, keep in zip(shards, sound, strict=True):
                lost += [MemberOf(shard, int(number)) for number in np.flatnonzero(~keep)]
            notes += said(lost, sum(map(len, shards)), split)
            shards = [shard.kept(keep) for shard, keep in zip(shards, sound, strict=True)]
        ids = [np.array([self._id(text, s.path, split) for text in s.labels], np.int64)[s.label] for s in shards]
        return ShardReader(shards, np.concatenate(ids), self.shape, self.fit, notes, incomplete, lost)

    @property
    def _count(self) -> int | None:
        return len(self.classes) if isinstance(self.classes, tuple) else self.classes

    def _id(self, text: str, path: str, split: Split) -> int:
        """The class id that a label means."""
        if isinstance(self.classes, tuple) and text in self.classes:
            return self.classes.index(text)
        if not text.isdecimal() or not text.isascii():
            names = self.classes if isinstance(self.classes, tuple) else ()
            hint = did_you_mean(text, names) or "Name the classes in `classes`, in the order of their ids."
            raise _wrong("wrong-label", f"`{path}` has the label `{text}`; labels are class ids from 0", split, hint)
        if self._count is not None and int(text) >= self._count:
            said = (
                f"`{path}` has the label `{text}`, but labels of {self._count} classes go from 0 to {self._count - 1}"
            )
            raise _wrong("label-out-of-range", said, split)
        return int(text)

    def _judged(self, shards: list[Shard], split: Split) -> tuple[str, ...]:
        """What is to be said of members that are no samples.

        Raises:
            DlrunError: ``incomplete-shard`` for those that should be, unless they are to be left out.
        """
        count: Counter[str] = Counter()
        where: dict[str, list[str]] = {}
        for shard in shards:
            for fault, number in shard.faults.items():
                what = "files cut off or damaged" if fault.startswith("the file") else fault
                count[what] += number
                after = fault.partition(" after ")[2]
                where.setdefault(what, []).append(f"`{shard.path}`" + (f" after {after}" if after else ""))
        notes = []
        for what, files in where.items():
            more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
            said = f"the {split} shards have {_number_of(count[what], what)}: in {', '.join(files[:_NAMED])}{more}"
            if self.unreadable == "stop" and "passed over" not in what:
                hint = "Write them again, or leave out what is incomplete with `unreadable: skip`."
                raise _wrong("incomplete-shard", said, split, hint)
            notes.append(said[0].upper() + said[1:] + ".")
        return tuple(notes)


class ShardReader:
    """Samples of several shards, read and decoded when taken."""

    def __init__(
        self,
        shards: list[Shard],
        y: np.ndarray,
        shape: tuple[int, int, int],
        fit: Fit,
        notes: tuple[str, ...],
        incomplete: list[str],
        lost: list[MemberOf],
    ) -> None:
        self.y = y
        self.notes = notes
        self.shape = shape
        self.fit = fit
        self._incomplete, self._lost = incomplete, lost
        self._shards = shards
        self._starts = np.concatenate([[0], np.cumsum([len(s) for s in shards])])

    def __len__(self) -> int:
        return len(self.y)

    @property
    def left_out(self) -> list[str]:
        """Each sample that is left out, with the reason."""
        return self._incomplete + named(self._lost)

    def name(self, row: int) -> str:
        """A sample's shard and the name of its image there."""
        shard, number = self._at(row)
        return shard.name(number)

    def encoded(self, row: int) -> bytes:
        """A sample's image file."""
        shard, number = self._at(row)
        return shard.image(number)

    def take(self, rows: np.ndarray) -> np.ndarray:
        out = np.empty((len(rows), *self.shape), np.uint8)
        order = np.argsort(rows, kind="stable")  # as they lie in the files

        def read(number: int) -> None:
            place = order[number]
            out[place] = self._decoded(int(rows[place]))

        each(len(rows), read)
        return out

    def _at(self, row: int) -> tuple[Shard, int]:
        """A sample's shard, and which of its samples it is."""
        index = int(np.searchsorted(self._starts, row, "right")) - 1
        return self._shards[index], row - int(self._starts[index])

    def _decoded(self, row: int) -> np.ndarray:
        data = self.encoded(row)
        try:
            return decode_image(data, "", self.shape, self.fit)
        except DlrunError as error:  # names are not kept; this one is worth reading
            raise DlrunError(
                error.code,
                error.message.replace("``", f"`{self.name(row)}`", 1),
                path=("data", "source"),
                hint="Write the shard again without it, or leave out all such images with `unreadable: skip`.",
            ) from error


def _files(patterns: str | tuple[str, ...], place: Place, split: Split) -> list[Path]:
    bases = [place.root] if place.root else [os.curdir, os.environ.get("DLRUN_DATA")]
    found: list[Path] = []
    for pattern in (patterns,) if isinstance(patterns, str) else patterns:
        for name in map(os.path.expanduser, expanded(pattern)):
            if not any(c in name for c in "*?["):
                found.append(locate(name, place, split))
            elif some := matched(name, [Path(base).expanduser() for base in bases if base]):
                found += map(Path, some)
            else:
                raise _wrong("missing-data", f"no file matches `{name}`", split, "Set `data.root`, or correct it.")
    if not found:
        raise _wrong("missing-data", f"`{_said(patterns)}` names no file", split, "Write `{000..009}` or a list.")
    return found


def _number_of(count: int, faults: str) -> str:
    if count == 1:
        faults = re.sub(r"(?<![.`])\b(sample|file|member)s\b", r"\1", faults, count=1).replace("which are", "which is")
    return f"{count:,} {faults}"


def _said(patterns: str | tuple[str, ...]) -> str:
    return patterns if isinstance(patterns, str) else ", ".join(patterns)


def _wrong(code: str, message: str, field: str, hint: str | None = None) -> DlrunError:
    return DlrunError(code, f"{message}.", path=("data", "source", field), hint=hint)
