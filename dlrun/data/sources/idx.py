"""IDX files, the format of MNIST and its relatives."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Gt

from dlrun.data.idx import idx_header, read_idx
from dlrun.data.locate import locate
from dlrun.data.numbers import as_float32
from dlrun.data.sample_files import read_samples
from dlrun.data.source import Place, Samples, Signature, Source, Split, sources
from dlrun.errors import DlrunError, all_of
from dlrun.graph.tensor import TensorType

Files = tuple[str, str]


@sources("idx")
class Idx(Source):
    """A file of samples and one of labels for each split, in the IDX format, gzipped or not.

    Samples are (N, *shape), channels last; images of shape (N, height, width) get a channel axis. Values from 0 to 255
    (unsigned bytes) stay as they are, all others become float32; integers that it does not have, which begin at
    16,777,217, are refused. Labels (N,) of integers are class ids from 0, others are numbers.

    Args:
        train: The training split's two files, ``[images, labels]``; relative to ``data.root`` or the working folder.
        test: The test split's two files, or none.
        classes: Number of classes, or their names in the order of ids; the largest label plus one when left out.
        scale: Factor that brings stored values to the unit range; 1/255 for unsigned bytes, else 1.
    """

    train: Files
    test: Files | None = None
    classes: Annotated[int, Gt(0)] | tuple[str, ...] | None = None
    scale: Annotated[float, Gt(0)] | None = None

    def signature(self, place: Place) -> Signature:
        names = {"train": self.train} if self.test is None else {"train": self.train, "test": self.test}
        train, *tests = all_of(partial(_Headers, files, place, split) for split, files in names.items())
        described = dict(zip(names, [train, *tests], strict=True))
        for test in tests:
            for what, a, b in (
                ("samples of shape", train.shape, test.shape),
                ("samples stored as", train.stored, test.stored),
                ("labels of shape", train.target, test.target),
            ):
                if a != b:
                    said = f"`{test.images}` has {what} `{b}`, but `{train.images}` has `{a}`"
                    raise _wrong("split-mismatch", said, "test")
        return Signature(
            input=TensorType(train.shape),
            target=train.target,
            classes=self._counted(described, place) if train.target.dtype == "int" else None,
            class_names=self.classes if isinstance(self.classes, tuple) else None,
            sizes={split: d.samples for split, d in described.items() if d.samples},
            scale=self.scale or (1 / 255 if train.stored == "uint8" else 1.0),
            stored_dtype=train.stored,
        )

    def load(self, split: Split, place: Place) -> Samples:
        names = self.train if split == "train" else self.test
        if names is None:
            raise _wrong("missing-split", "`data.source.test` names no files", "test")
        described = _Headers(names, place, split)
        x = read_idx(described.images)
        x = x if described.stored == "uint8" else as_float32(x, f"`{described.images}`", ("data", "source", split))
        return Samples(x.reshape(described.samples, *described.shape), described.y())

    def read(self, files: Sequence[Path], signature: Signature) -> np.ndarray:
        """One sample per file, as ``npz`` reads them: images where samples are unsigned bytes, else ``.npy`` arrays."""
        return read_samples(files, signature)

    def _counted(self, described: dict[str, _Headers], place: Place) -> int:
        """Classes as stated, known to a run or counted; every label is looked at."""
        count = len(self.classes) if isinstance(self.classes, tuple) else self.classes
        count = count or place.classes
        highest = -1
        for split, d in described.items():
            y = d.y()
            low, high = (int(y.min()), int(y.max())) if y.size else (0, -1)
            if low < 0 or (count is not None and high >= count):
                rule = "begin at 0" if count is None else f"go from 0 to {count - 1}"
                said = f"`{d.labels}` has the label `{low if low < 0 else high}`; class ids {rule}"
                raise _wrong("label-out-of-range", said, split)
            highest = max(highest, high)
        return count or highest + 1


class _Headers:
    """What the headers of a split's two files say, checked."""

    def __init__(self, names: Files, place: Place, split: str) -> None:
        self.split = split
        self.images, self.labels = (locate(name, place, split) for name in names)
        try:
            (x, x_dtype), (y, y_dtype) = idx_header(self.images), idx_header(self.labels)
        except DlrunError as error:
            error.path = ("data", "source", split)
            raise
        if len(x) < 2 or 0 in x[1:]:
            hint = "The file of samples comes first, then that of labels." if len(y) > 1 else None
            said = f"`{self.images}` has the shape `{x}`; samples are (samples, ...)"
            raise _wrong("wrong-array", said, split, hint)
        if x[0] != y[0]:
            said = f"`{self.images}` has `{x[0]}` samples and `{self.labels}` `{y[0]}` labels; they must be as many"
            raise _wrong("length-mismatch", said, split)
        self.samples = x[0]
        self.shape = (*x[1:], 1) if len(x) == 3 else x[1:]
        self.stored = "uint8" if x_dtype == np.dtype("u1") else "float32"
        self.target = TensorType((), "int") if y_dtype.kind in "iu" and len(y) == 1 else TensorType(y[1:])

    def y(self) -> np.ndarray:
        """Every label."""
        y = read_idx(self.labels)
        if self.target.dtype == "int":
            return y.astype(np.int64)
        return as_float32(y, f"`{self.labels}`", ("data", "source", self.split))


def _wrong(code: str, message: str, field: str, hint: str | None = None) -> DlrunError:
    return DlrunError(code, f"{message}.", path=("data", "source", field), hint=hint)
