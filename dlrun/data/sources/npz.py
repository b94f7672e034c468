"""Arrays saved with ``numpy.savez``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt

from dlrun.data.locate import locate
from dlrun.data.npz import array_headers, load_array
from dlrun.data.numbers import as_float32
from dlrun.data.sample_files import read_samples
from dlrun.data.source import Place, Samples, Signature, Source, Split, sources
from dlrun.errors import DlrunError, all_of
from dlrun.graph.tensor import TensorType

Shape = tuple[int, ...]


@sources("npz")
class Npz(Source):
    """A ``.npz`` file per split, each with the arrays ``x`` and ``y``.

    ``x`` is (N, *shape), channels last; images of shape (N, height, width) get a channel axis.
    8-bit values stay as they are, all others become float32, and an integer that float32 does not hold
    is an error. With ``dtype: int`` ``x`` holds ids such as those of words, from 0, in any shape:
    (N, length) for texts. An integer or boolean ``y`` of shape (N,) or (N, 1) holds class ids from 0,
    and where ``classes`` says so one of any shape, an id for each place; any other ``y`` holds numbers.
    An optional array ``class_names`` of strings in the training file names the classes.

    Args:
        train: File of the training split; relative to ``data.root`` or the working folder.
        test: File of the test split, or none.
        dtype: ``float`` for numbers, ``int`` for ids.
        vocabulary: Number of ids; the largest one plus one when left out.
        classes: Number of classes; the largest label plus one when left out.
        scale: Factor that brings stored values to the unit range; 1/255 for 8-bit values, else 1.
        ignore_label: A label that belongs to no class, such as 255 for places left out; the loss names it
            as its ``ignore_index``.
    """

    known_as = ("npy", "numpy", "array", "arrays")

    train: str
    test: str | None = None
    dtype: Literal["float", "int"] = "float"
    vocabulary: Annotated[int, Gt(0)] | None = None
    classes: Annotated[int, Gt(0)] | None = None
    scale: Annotated[float, Gt(0)] | None = None
    ignore_label: int | None = None

    def signature(self, place: Place) -> Signature:
        self._check()
        names = {"train": self.train} if self.test is None else {"train": self.train, "test": self.test}
        train, *tests = all_of(partial(self._described, name, place, split) for split, name in names.items())
        for test in tests:
            _check_alike(train, test)
        described = dict(zip(names, [train, *tests], strict=True))
        target, classes = TensorType(train.y_shape), None
        if train.labels:
            target = TensorType(train.y_shape, "int")
            classes = self._count_classes(described, place)
        return Signature(
            input=TensorType(train.x_shape, self.dtype),
            target=target,
            classes=classes,
            class_names=_class_names(train.path, classes),
            sizes={split: d.samples for split, d in described.items() if d.samples},
            scale=self.scale or (1 / 255 if train.stored == "uint8" else 1.0),
            stored_dtype=train.stored,
            ignore_label=self.ignore_label if train.labels else None,
            vocabulary=self._count_ids(described, place) if self.dtype == "int" else None,
        )

    def load(self, split: Split, place: Place) -> Samples:
        name = self.train if split == "train" else self.test
        if name is None:
            raise DlrunError("missing-split", "`data.source.test` names no file.", path=("data", "source", "test"))
        d = self._described(name, place, split)
        x = load_array(d.path, "x")
        if self.dtype == "int":
            _highest_id(x, d.path, self._vocabulary(place))
        if d.stored == "float32":
            x = as_float32(x, f"`{d.path}`: `x`", ("data", "source"))
        x = x.astype(d.stored, order="C", copy=False).reshape(d.samples, *d.x_shape)
        return Samples(x, _read_labels(d))

    def read(self, files: Sequence[Path], signature: Signature) -> np.ndarray:
        """One sample per file: ``.npy`` or ``.npz`` arrays as stored; images where samples are 8-bit ones."""
        return read_samples(files, signature)

    def _described(self, name: str, place: Place, split: str) -> _Described:
        path = locate(name, place, split)
        return _described(path, labels=self.classes is not None, ids=self.dtype == "int")

    def _check(self) -> None:
        for field in ("vocabulary",) if self.dtype == "float" else ("scale",):
            if getattr(self, field) is not None:
                what, said = ("counts ids", "numbers") if field == "vocabulary" else ("multiplies numbers", "ids")
                raise DlrunError(
                    "wrong-source",
                    f"`{field}: {getattr(self, field)}` {what}, but with `dtype: {self.dtype}` samples are {said}.",
                    path=("data", "source", field),
                    hint=f"Leave `{field}` out, or change `dtype`.",
                )

    def _vocabulary(self, place: Place) -> int | None:
        """Number of ids as stated, or as a run knows it."""
        return self.vocabulary or (place.known.vocabulary if place.known is not None else None)

    def _count_ids(self, described: dict[str, _Described], place: Place) -> int:
        """Ids as stated, known or counted; those of the data are looked at only to count them."""
        stated = self._vocabulary(place)
        if stated is not None:
            return stated
        return max(1 + _highest_id(load_array(d.path, "x"), d.path, None) for d in described.values())

    def _count_classes(self, described: dict[str, _Described], place: Place) -> int:
        """Classes as stated, known or counted; every label is looked at."""
        classes, highest = self.classes or place.classes, -1
        for d in described.values():
            y = _read_labels(d)
            y = y[y != self.ignore_label] if self.ignore_label is not None else y
            if y.size and y.min() < 0:
                raise _bad(
                    d.path, "label-out-of-range", f"`y` has the label `{y.min()}`; class ids begin at 0", _IGNORE
                )
            highest = max(highest, int(y.max()) if y.size else -1)
            if classes is not None and highest >= classes:
                of = "`classes` is" if self.classes else "the number of classes that the run knows is"
                said = f"`y` has the label `{highest}`, but {of} {classes}"
                raise _bad(d.path, "label-out-of-range", said, _IGNORE)
        return classes or highest + 1


def _highest_id(x: np.ndarray, path: Path, vocabulary: int | None) -> int:
    """The largest id, at least 0.

    Raises:
        DlrunError: ``id-out-of-range``.
    """
    low, high = (int(x.min()), int(x.max())) if x.size else (0, 0)
    if low < 0:
        raise _bad(path, "id-out-of-range", f"`x` has the id `{low}`; ids begin at 0")
    if vocabulary is not None and high >= vocabulary:
        said = f"`x` has the id `{high}`, but `vocabulary` is {vocabulary}"
        raise _bad(path, "id-out-of-range", said, f"Ids go up to `vocabulary` minus one: {vocabulary - 1}.")
    return high


class _Described:
    """What the headers of one file say, checked."""

    def __init__(
        self, path: Path, x: tuple[Shape, np.dtype], y: tuple[Shape, np.dtype], labels: bool, ids: bool
    ) -> None:
        (x_shape, x_dtype), (y_shape, y_dtype) = x, y
        self.path = path
        self.samples = x_shape[0]
        self.x_shape: Shape = (*x_shape[1:], 1) if len(x_shape) == 3 and not ids else x_shape[1:]
        self.stored = "int64" if ids else "uint8" if x_dtype == np.dtype("u1") else "float32"
        single = y_shape[1:] in ((), (1,))
        self.labels = y_dtype.kind in "iub" and (single or labels)
        self.y_shape: Shape = () if self.labels and single else y_shape[1:]


_IGNORE = "If it marks places of no class, name it in `ignore_label`."


def _described(path: Path, labels: bool, ids: bool) -> _Described:
    headers = array_headers(path)
    for name in ("x", "y"):
        if name not in headers:
            found = ", ".join(f"`{n}`" for n in headers) or "none"
            raise _bad(path, "missing-array", f"it has no array `{name}`; its arrays: {found}")
        shape, dtype = headers[name]
        if dtype.kind not in "iubf":
            raise _bad(path, "wrong-array", f"`{name}` holds `{dtype}`, not numbers")
        if len(shape) < (2 if name == "x" else 1) or 0 in shape[1:]:
            wanted = "(samples, ...)" if name == "x" else "(samples,)"
            raise _bad(path, "wrong-array", f"`{name}` has the shape `{shape}`; it must be {wanted}")
    x, y = headers["x"], headers["y"]
    if ids and x[1].kind not in "iu":
        raise _bad(
            path,
            "wrong-array",
            f"`x` holds `{x[1]}`, but `dtype: int` says that samples are ids",
            "Save integers, e.g. with `x.astype('int64')`, or leave `dtype` out.",
        )
    if x[0][0] != y[0][0]:
        raise _bad(path, "length-mismatch", f"`x` has `{x[0][0]}` samples and `y` `{y[0][0]}`; they must be as many")
    return _Described(path, x, y, labels, ids)


def _read_labels(d: _Described) -> np.ndarray:
    y = load_array(d.path, "y")
    if d.labels:
        return y.reshape(d.samples, *d.y_shape).astype(np.int64)
    return as_float32(y, f"`{d.path}`: `y`", ("data", "source"))


def _check_alike(train: _Described, test: _Described) -> None:
    for what, a, b in (
        ("samples of shape", train.x_shape, test.x_shape),
        ("samples stored as", train.stored, test.stored),
        ("labels of shape", train.y_shape, test.y_shape),
    ):
        if a != b:
            raise _bad(test.path, "split-mismatch", f"it has {what} `{b}`, but `{train.path}` has `{a}`")
    if train.labels != test.labels:
        ids, numbers = (train, test) if train.labels else (test, train)
        said = f"`y` holds numbers in `{numbers.path}`, but class ids (whole numbers) in `{ids.path}`"
        raise _bad(test.path, "split-mismatch", said)


def _class_names(path: Path, classes: int | None) -> tuple[str, ...] | None:
    headers = array_headers(path)
    if classes is None or "class_names" not in headers:
        return None
    shape, dtype = headers["class_names"]
    if dtype.kind != "U" or shape != (classes,):
        raise _bad(
            path, "wrong-array", f"`class_names` must hold {classes} strings; it has `{dtype}` of shape `{shape}`"
        )
    return tuple(map(str, load_array(path, "class_names")))


def _bad(path: Path, code: str, detail: str, hint: str | None = None) -> DlrunError:
    return DlrunError(code, f"`{path}`: {detail}.", path=("data", "source"), hint=hint)
