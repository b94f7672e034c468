"""A file read once in a process, however often it is asked for."""

from __future__ import annotations

import os
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from dlrun.data.source import Signature
from dlrun.data.tables.encode import Encoded, encode
from dlrun.data.tables.files import read_rows
from dlrun.data.tables.rows import Options, Rows, other_delimiter
from dlrun.data.tables.scheme import Kinds, Scheme, Target, find_scheme, known_scheme
from dlrun.data.wording import counted
from dlrun.errors import DlrunError
from dlrun.errors import Path as RecipePath

Version = tuple[str, int, int]
T = TypeVar("T")

_KEPT = 4
"""Files kept in memory: two splits, and two others."""
_schemes: OrderedDict[object, Scheme] = OrderedDict()
_samples: OrderedDict[object, Encoded] = OrderedDict()


def scheme_of(path: Path, kinds: Kinds, target: Target, options: Options, where: RecipePath) -> Scheme:
    """What the columns of a training file are; its samples are then at hand as well.

    Raises:
        DlrunError: As ``read_rows``, ``find_scheme`` and ``encode``.
    """
    version = _version(path, where)
    said = tuple((name, kind if isinstance(kind, str) else tuple(kind.items())) for name, kind in kinds.items())

    def find() -> Scheme:
        rows = read_rows(path, options, where)
        if not len(rows):
            raise _nothing(rows, where)
        scheme = find_scheme(rows, kinds, target, options)
        read = _kept(_samples, (version, options, scheme), lambda: encode(rows, scheme, options, where))
        _check_classes(path, scheme, read, where)
        return scheme

    return _kept(_schemes, (version, options, target, said), find)


def _check_classes(path: Path, scheme: Scheme, read: Encoded, where: RecipePath) -> None:
    """Every class has a row, also where bad rows are left out."""
    if scheme.classes is not None:
        counts = np.bincount(read.y, minlength=len(scheme.classes))
        for name, count in zip(scheme.classes, counts, strict=True):
            if not count:
                hint = "Correct these rows."
                message = f"`{path}` has the class `{name}` in bad rows only, which are left out."
                raise DlrunError("empty-class", message, path=where, hint=hint)


def samples_of(path: Path, scheme: Scheme, options: Options, where: RecipePath) -> Encoded:
    """A file's samples.

    Raises:
        DlrunError: As ``read_rows`` and ``encode``.
    """

    def read() -> Encoded:
        rows = read_rows(path, options, where)
        if not len(rows):
            raise _nothing(rows, where)
        return encode(rows, scheme, options, where)

    return _kept(_samples, (_version(path, where), options, scheme), read)


def read_files(
    files: Sequence[Path], signature: Signature, options: Options, target: str
) -> tuple[np.ndarray, Counter[tuple[str, str]]]:
    """Rows to predict, float64 (rows of all files, columns), and values that are none of the categories.

    Raises:
        DlrunError: ``missing-column``, ``bad-rows`` and the like.
    """
    scheme = known_scheme(signature, target)
    parts = [
        encode(read_rows(path, options, (), target), scheme, options, (), target=False) for path in map(Path, files)
    ]
    return np.concatenate([part.x for part in parts]), sum((part.unknown for part in parts), Counter())


def _nothing(rows: Rows, where: RecipePath) -> DlrunError:
    line, text = min(rows.bad.items())
    return DlrunError(
        "empty-data",
        f"`{rows.path}`: none of its {counted(len(rows.bad), 'row')} can be used; of line {line}, {text}.",
        path=where,
        hint=other_delimiter(rows.columns, where),
    )


def _kept(kept: OrderedDict[object, T], key: object, make: Callable[[], T]) -> T:
    if key in kept:
        kept.move_to_end(key)
        return kept[key]
    kept[key] = made = make()
    while len(kept) > _KEPT:
        kept.popitem(last=False)
    return made


def _version(path: Path, where: RecipePath) -> Version:
    try:
        found = os.stat(path)
    except OSError as error:
        raise DlrunError("unreadable-file", f"`{path}` cannot be read: {error.strerror}.", path=where) from None
    return str(path.absolute()), found.st_size, found.st_mtime_ns
