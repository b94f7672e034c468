"""A folder of images per class."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from dlrun.data.images import SUFFIXES, Fit, read_images
from dlrun.data.listing import Files, Names
from dlrun.data.locate import locate
from dlrun.data.pictures import Pictures
from dlrun.data.source import Place, Reader, Signature, Split, sources
from dlrun.data.unreadable import NAMED, FileOf, named, readable, said
from dlrun.data.wording import counted
from dlrun.errors import DlrunError, all_of, did_you_mean
from dlrun.graph.tensor import TensorType


@sources("image_folder")
class ImageFolder(Pictures):
    """Images in ``<split>/<class>/``; the classes are the training split's folder names, sorted.

    Files called ``.png``, ``.jpg``, ``.jpeg``, ``.bmp`` or ``.webp`` count, in the order of their names; other files
    and folders within a class are passed over and counted, hidden ones in silence. Images are turned as their EXIF
    orientation says and resized to ``size`` (bilinear).

    Args:
        train: Folder of the training split; relative to ``data.root`` or the working folder.
        test: Folder of the test split, or none.
        unreadable: Whether files that cannot be decoded ``stop`` the run, or are left out: ``skip`` decodes each
            file once beforehand and counts them.
    """

    known_as = ("images", "pictures", "directory")

    train: str = "train"
    test: str | None = "test"
    unreadable: Literal["stop", "skip"] = "stop"

    def signature(self, place: Place) -> Signature:
        looks: list[Callable[[], _Listed | Path]] = [partial(self._listed, "train", place)]
        if self.test is not None:
            looks.append(partial(locate, self.test, place, "test", folder=True))
        train = all_of(looks)[0]
        assert isinstance(train, _Listed)
        sizes, notes = {"train": len(train.files)}, train.told
        if self.test is not None:
            test = self._listed("test", place)
            notes += test.told
            if len(test.files):
                sizes["test"] = len(test.files)
        return Signature(
            input=TensorType(self.shape),
            target=TensorType((), "int"),
            classes=len(train.classes),
            class_names=train.classes,
            sizes=sizes,
            scale=1 / 255,
            notes=notes,
        )

    def open(self, split: Split, place: Place) -> Reader:
        listed = self._listed(split, place)
        return _ImageFiles(listed, self.shape, self.fit)

    def _listed(self, split: Split, place: Place) -> _Listed:
        names = None if place.known is None else place.known.class_names
        if split == "train" or names is None:
            folder = locate(self.train, place, "train", folder=True)
            classes = _class_folders(folder)
            names = names or tuple(classes)
            if split == "train":
                _check_known(classes, names, folder, "train")
                listed = self._sound(_images(classes, names, "train"), folder, "train")
                _check_complete(folder, listed)
                return listed
        if self.test is None:
            raise DlrunError("missing-split", "`data.source.test` names no folder.", path=("data", "source", "test"))
        folder = locate(self.test, place, "test", folder=True)
        classes = _class_folders(folder)
        _check_known(classes, names, folder, "test")
        return self._sound(_images(classes, names, "test"), folder, "test")

    def _sound(self, listed: _Listed, folder: Path, split: Split) -> _Listed:
        """Without what cannot be decoded, if the recipe says so."""
        if self.unreadable == "stop":
            return listed
        sound = readable(listed.files, folder)
        gone = listed.files.kept(~sound)
        lost = [FileOf(gone.path(i)) for i in range(len(gone))]
        notes = said(lost, len(sound), split)
        return replace(listed, files=listed.files.kept(sound), notes=notes, lost=lost)


@dataclass(frozen=True)
class _Listed:
    """The images of a split.

    Args:
        classes: Names of all classes.
        ids: Class id of each folder of ``files``.
        files: The images.
        notes: On images left out.
        lost: These images.
        others: Notes on what else is in the folders.
    """

    classes: tuple[str, ...]
    ids: tuple[int, ...]
    files: Files
    notes: tuple[str, ...] = ()
    lost: Sequence[FileOf] = ()
    others: tuple[str, ...] = ()

    @property
    def told(self) -> tuple[str, ...]:
        """The notes, and where to see what they leave unsaid."""
        more = "; `dlrun data` names all of them." if len(self.lost) > NAMED else "."
        return (*(note.removesuffix(".") + more for note in self.notes), *self.others)

    @property
    def y(self) -> np.ndarray:
        """Class id of each image, int64 (N,)."""
        return np.repeat(np.array(self.ids, np.int64), self.files.counts)


class _ImageFiles:
    """Images decoded when taken."""

    def __init__(self, listed: _Listed, shape: tuple[int, int, int], fit: Fit) -> None:
        self.files = listed.files
        self.y = listed.y
        self._lost = listed.lost
        self.shape = shape
        self.fit = fit

    def __len__(self) -> int:
        return len(self.files)

    @property
    def left_out(self) -> list[str]:
        """Each file that is left out, with the reason."""
        return named(self._lost)

    def name(self, row: int) -> str:
        """Path of a sample's file."""
        return self.files.path(row)

    def encoded(self, row: int) -> bytes:
        """A sample's file."""
        return Path(self.files.path(row)).read_bytes()

    def take(self, rows: np.ndarray) -> np.ndarray:
        try:
            return read_images([self.files.path(int(row)) for row in rows], self.shape, self.fit)
        except DlrunError as error:
            error.path = ("data", "source")
            error.hint = "Replace or remove the file, or leave out all such files with `unreadable: skip`."
            raise


def _class_folders(folder: Path) -> dict[str, str]:
    """Path of every class folder by name. Names are composed (NFC), as macOS may hand them out in parts."""
    found: dict[str, str] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                found[_name(entry)] = entry.path
            elif not os.path.exists(entry.path):  # a link to nothing, as of data that were fetched in part
                raise DlrunError(
                    "missing-data",
                    f"`{entry.path}` is a link, and what it leads to is not there.",
                    path=("data", "source"),
                    hint="Fetch it, or remove the link.",
                )
    return dict(sorted(found.items()))


def _check_known(classes: Iterable[str], names: tuple[str, ...], folder: Path, field: str) -> None:
    for name in classes:
        if name not in names:
            known = "the run was trained on" if field == "train" else "the training folder has"
            raise DlrunError(
                "unknown-class",
                f"`{folder / name}` is none of the classes that {known}.",
                path=("data", "source", field),
                hint=did_you_mean(name, names),
            )


def _images(classes: dict[str, str], names: tuple[str, ...], split: Split) -> _Listed:
    listed = []
    others, first = Counter[str](), dict[str, str]()
    for path in classes.values():
        images = []
        with os.scandir(path) as entries:
            for entry in entries:
                if _is_image(entry):
                    images.append(entry.name)
                elif not entry.name.startswith("."):
                    kind = "" if entry.is_dir() else os.path.splitext(entry.name)[1].lower() or "no ending"
                    others[kind] += 1
                    first[kind] = min(entry.path, first.get(kind, entry.path))
        listed.append(Names(sorted(images)))
    ids = {name: i for i, name in enumerate(names)}
    notes = tuple(_passed_over(kind, others[kind], first[kind], split) for kind in sorted(others))
    return _Listed(names, tuple(ids[name] for name in classes), Files(list(classes.values()), listed), others=notes)


def _passed_over(kind: str, count: int, first: str, split: Split) -> str:
    what = {"": "folder", "no ending": "file without an ending"}.get(kind, f"`{kind}` file")
    some = counted(count, what, {"no ending": "files without an ending"}.get(kind))
    are, more = ("is", "") if count == 1 else ("are", ", …")
    return f"In the {split} split's class folders {some} {are} passed over: `{first}`{more}."


def _check_complete(folder: Path, listed: _Listed) -> None:
    hint = "Put images into `<class>/` folders: PNG, JPEG, BMP or WebP."
    path = ("data", "source", "train")
    if not listed.classes:
        raise DlrunError("empty-data", f"`{folder}` has no class folders.", path=path, hint=hint)
    left_out = " ".join(["", *listed.notes, *listed.others])
    if not len(listed.files):
        said = f"the class folders of `{folder}` hold no images."
        raise DlrunError("empty-data", said + left_out, path=path, hint=hint)
    present = {i for i, count in zip(listed.ids, listed.files.counts, strict=True) if count}
    if missing := sorted(set(range(len(listed.classes))) - present):
        said = f"`{folder / listed.classes[missing[0]]}` holds no images."
        hint = f"{hint} Or remove the folder."
        raise DlrunError("empty-class", said + left_out, path=path, hint=hint)


def _is_image(entry: os.DirEntry[str]) -> bool:
    named = not entry.name.startswith(".") and os.path.splitext(entry.name)[1].lower() in SUFFIXES
    # a link to nothing is an image that cannot be read
    return named and (entry.is_file() or (entry.is_symlink() and not entry.is_dir()))


def _name(entry: os.DirEntry[str]) -> str:
    return unicodedata.normalize("NFC", entry.name)
