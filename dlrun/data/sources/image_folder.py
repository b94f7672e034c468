"""A folder of images per class."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt

from dlrun.data.images import SUFFIXES, read_images
from dlrun.data.locate import locate
from dlrun.data.source import Place, Reader, Samples, Signature, Source, Split, sources
from dlrun.errors import DlrunError, did_you_mean
from dlrun.graph.tensor import TensorType

Positive = Annotated[int, Gt(0)]


@sources("image_folder")
class ImageFolder(Source):
    """Images in ``<split>/<class>/``; the classes are the training split's folder names, sorted.

    PNG, JPEG, BMP and WebP files count, in the order of their names; other files and hidden ones
    are passed over. Images are resized to ``size`` (bilinear), whatever their shape.

    Args:
        train: Folder of the training split; relative to ``data.root`` or the working folder.
        test: Folder of the test split, or none.
        size: Height and width, or one number for both.
        channels: 3 for RGB, 1 for grey.
    """

    train: str = "train"
    test: str | None = "test"
    size: Positive | tuple[Positive, Positive]
    channels: Literal[1, 3] = 3

    def signature(self, place: Place) -> Signature:
        names, train = self._listed("train", place)
        sizes = {"train": len(train)}
        if self.test is not None and (test := self._listed("test", place)[1]):
            sizes["test"] = len(test)
        return Signature(
            input=TensorType(self._shape()),
            target=TensorType((), "int"),
            classes=len(names),
            class_names=names,
            sizes=sizes,
            scale=1 / 255,
        )

    def open(self, split: Split, place: Place) -> Reader:
        files = self._listed(split, place)[1]
        return _ImageFiles([path for path, _ in files], np.array([y for _, y in files], np.int64), self._shape())

    def load(self, split: Split, place: Place) -> Samples:
        reader = self.open(split, place)
        return Samples(reader.take(np.arange(len(reader))), reader.y)

    def read(self, files: Sequence[Path], signature: Signature) -> np.ndarray:
        """Images converted and resized like the data set's."""
        return read_images(files, self._shape())

    def _shape(self) -> tuple[int, int, int]:
        height, width = (self.size, self.size) if isinstance(self.size, int) else self.size
        return height, width, self.channels

    def _listed(self, split: Split, place: Place) -> tuple[tuple[str, ...], list[tuple[str, int]]]:
        """(class names, (path, class id) of every image of a split)."""
        folder = locate(self.train, place, "train", folder=True)
        classes = _class_folders(folder)
        names = tuple(classes)
        if split == "train":
            files = _images(classes, names)
            _check_complete(folder, names, files)
            return names, files
        if self.test is None:
            raise DlrunError("missing-split", "`data.source.test` names no folder.", path=("data", "source", "test"))
        folder = locate(self.test, place, "test", folder=True)
        classes = _class_folders(folder)
        for name in classes:
            if name not in names:
                raise DlrunError(
                    "unknown-class",
                    f"`{folder / name}` is a class that the training folder does not have.",
                    path=("data", "source", "test"),
                    hint=did_you_mean(name, names),
                )
        return names, _images(classes, names)


class _ImageFiles:
    """Images decoded when taken."""

    def __init__(self, paths: list[str], y: np.ndarray, shape: tuple[int, int, int]) -> None:
        self.paths = paths
        self.y = y
        self.shape = shape

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, rows: np.ndarray) -> np.ndarray:
        return read_images([self.paths[row] for row in rows], self.shape)


def _class_folders(folder: Path) -> dict[str, str]:
    """Path of every class folder by name. Names are composed (NFC), as macOS may hand them out in parts."""
    with os.scandir(folder) as entries:
        found = {_name(e): e.path for e in entries if e.is_dir() and not e.name.startswith(".")}
    return dict(sorted(found.items()))


def _images(classes: dict[str, str], names: tuple[str, ...]) -> list[tuple[str, int]]:
    files = []
    for name, path in classes.items():
        with os.scandir(path) as entries:
            paths = sorted(e.path for e in entries if _is_image(e))
        files += [(p, names.index(name)) for p in paths]
    return files


def _check_complete(folder: Path, names: tuple[str, ...], files: list[tuple[str, int]]) -> None:
    hint = "Put images into `<class>/` folders: PNG, JPEG, BMP or WebP."
    path = ("data", "source", "train")
    if not names:
        raise DlrunError("empty-data", f"`{folder}` has no class folders.", path=path, hint=hint)
    if not files:
        raise DlrunError("empty-data", f"the class folders of `{folder}` hold no images.", path=path, hint=hint)
    if missing := sorted(set(range(len(names))) - {y for _, y in files}):
        raise DlrunError("empty-class", f"`{folder / names[missing[0]]}` holds no images.", path=path, hint=hint)


def _is_image(entry: os.DirEntry[str]) -> bool:
    return not entry.name.startswith(".") and os.path.splitext(entry.name)[1].lower() in SUFFIXES and entry.is_file()


def _name(entry: os.DirEntry[str]) -> str:
    return unicodedata.normalize("NFC", entry.name)
