"""Tables from files: CSV, TSV, JSON lines, Parquet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import field
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Gt

from dlrun.data.locate import locate
from dlrun.data.source import Place, Samples, Signature, Source, Split, sources
from dlrun.data.tables.encode import Encoded, unknown_told
from dlrun.data.tables.files import format_of
from dlrun.data.tables.reading import read_files, samples_of, scheme_of
from dlrun.data.tables.rows import MISSING, Format, Options
from dlrun.data.tables.rows import place as place_of
from dlrun.data.tables.scheme import Kinds, Scheme, Target, known_scheme
from dlrun.errors import DlrunError, all_of, together
from dlrun.graph.tensor import TensorType

_TEXT = ("csv", "tsv")


@sources("table")
class Table(Source):
    """Rows of a table: CSV, TSV, JSON lines or Parquet (with the extra ``data``), also gzipped (``.gz``).

    A sample has an entry for each column but the target, in the order of the training file: a number, NaN where it
    is missing; or the id of a category, 0 for a missing one and one that is not in the training file, else from 1 in
    the order of the categories' texts. What the columns and classes are is found in the training file, once; a run
    keeps it. Blanks around values do not count. A column whose type is left out holds numbers if all of its values
    are numbers, else categories; where only a few are none, or where no two are alike, that is an error.

    Args:
        train: File of the training split; relative to ``data.root`` or the working folder. `example:customers.csv`
            comes with dlrun.
        test: File of the test split, or none.
        target: Name of the column to predict.
        target_type: `class` or `number`. Left out, texts are classes, and so are whole numbers of 20 different values
            at most.
        classes: All classes in the order of their ids; sorted when left out.
        columns: Type of a column by its name: `number`, `category`, `skip`, or `{hash: n}` for a category whose id is
            a hash from 1 to n, with no list of categories.
        format: `csv`, `tsv`, `json_lines` or `parquet`, where the files' endings do not say it.
        delimiter: The character between values; a comma in CSV, a tab (`\\t`) in TSV. JSON lines and Parquet have none.
        encoding: Of text files.
        header: Names of the columns, where the first line of CSV or TSV files does not hold them.
        missing: Texts that stand for a missing value.
        decimal: The decimal mark.
        bad_rows: `stop` at rows that cannot be read (too many values, a text in a column of numbers, no target), or
            `skip` them.
    """

    known_as = ("csv", "tsv", "parquet", "json_lines", "jsonl", "pandas")

    train: str
    test: str | None = None
    target: str
    target_type: Literal["class", "number"] | None = None
    classes: tuple[str, ...] | None = None
    columns: dict[str, Literal["number", "category", "skip"] | dict[Literal["hash"], Annotated[int, Gt(0)]]] = field(
        default_factory=dict
    )
    format: Format | None = None
    delimiter: str | None = None
    encoding: str = "utf-8"
    header: tuple[str, ...] | None = None
    missing: tuple[str, ...] = MISSING
    decimal: Literal[".", ","] = "."
    bad_rows: Literal["stop", "skip"] = "stop"

    def signature(self, place: Place) -> Signature:
        splits: tuple[Split, ...] = ("train",) if self.test is None else ("train", "test")
        looks: list[Callable[[], object]] = [partial(self._path, split, place) for split in splits]
        looks.append(partial(self._scheme, place))
        all_of(looks)
        scheme = self._scheme(place)  # at hand by now
        samples = all_of(partial(self._split, split, place, scheme) for split in splits)
        reads = {split: (self._path(split, place), read) for split, read in zip(splits, samples, strict=True)}
        classes = scheme.classes
        return Signature(
            input=TensorType((len(scheme.columns),)),
            target=TensorType((), "float" if classes is None else "int"),
            classes=None if classes is None else len(classes),
            class_names=classes,
            sizes={split: len(read.y) for split, (_, read) in reads.items()},
            stored_dtype="float64",
            columns=scheme.columns,
            notes=self._notes(reads),
        )

    def load(self, split: Split, place: Place) -> Samples:
        if split == "test" and self.test is None:
            raise DlrunError("missing-split", "`data.source.test` names no file.", path=("data", "source", "test"))
        found, path = self._split(split, place, self._scheme(place)), self._path(split, place)
        unknown = Counter[str]()
        for (column, _), count in found.unknown.items():
            unknown[column] += count
        left_out = [f"`{place_of(path, row)}`: {found.skipped[row]}" for row in sorted(found.skipped)]
        return Samples(found.x, found.y, left_out, unknown)

    def read(self, files: Sequence[Path], signature: Signature) -> np.ndarray:
        """Rows of files of the same kinds, one file after the other; the target may be absent, columns may come in
        any order, others are ignored. Every row must be good."""
        return self.read_counted(files, signature)[0]

    def read_counted(self, files: Sequence[Path], signature: Signature) -> tuple[np.ndarray, Counter[tuple[str, str]]]:
        self._check()
        return read_files(files, signature, self._options(), self.target)

    def _notes(self, reads: dict[Split, tuple[Path, Encoded]]) -> tuple[str, ...]:
        """Rows left out, and categories that only the test file has."""
        found = []
        for path, read in reads.values():
            if read.skipped:
                first = min(read.skipped)
                what = "1 bad row is" if len(read.skipped) == 1 else f"{len(read.skipped):,} bad rows are"
                more = "; `dlrun data` names all of them" if len(read.skipped) > 1 else ""
                found.append(f"`{path}`: {what} left out; `{place_of(path, first)}`: {read.skipped[first]}{more}.")
            found += [f"`{path}`: {said}" for said in unknown_told(read.unknown)]
        return tuple(found)

    def _scheme(self, place: Place) -> Scheme:
        self._check()
        if place.known is not None and place.known.columns:
            return known_scheme(place.known, self.target)
        self._check_used()
        path = self._path("train", place)
        target = Target(self.target, self.target_type, self.classes)
        kinds: Kinds = self.columns
        return scheme_of(path, kinds, target, self._options(), ("data", "source", "train"))

    def _split(self, split: Split, place: Place, scheme: Scheme) -> Encoded:
        return samples_of(self._path(split, place), scheme, self._options(), ("data", "source", split))

    def _path(self, split: Split, place: Place) -> Path:
        name = self.train if split == "train" else self.test
        assert name is not None
        return locate(name, place, split)

    def _options(self) -> Options:
        delimiter = {r"\t": "\t"}.get(self.delimiter or "", self.delimiter)
        return Options(self.format, delimiter, self.encoding, self.header, self.missing, self.decimal, self.bad_rows)

    def _check_used(self) -> None:
        """Raise for settings of text that none of the files has use for; those to predict may be others."""
        kinds = [self.format or format_of(name) for name in (self.train, self.test) if name is not None]
        for name, value in (("delimiter", self.delimiter), ("header", self.header)):
            if value is not None and all(kind in ("json_lines", "parquet") for kind in kinds):
                said = f"`{name}` says nothing of `{kinds[0]}`, which has names and no delimiters."
                raise DlrunError("wrong-source", said, path=("data", "source", name), hint=f"Remove `{name}`.")

    def _check(self) -> None:
        """Raise for settings that say nothing, or say two things."""
        errors = []
        for name, kind in self.columns.items():
            if isinstance(kind, dict) and list(kind) != ["hash"]:
                written = ", ".join(kind) or "nothing"
                errors.append(
                    _wrong(
                        ("columns", name),
                        f"`{name}` has `{written}` where `hash` belongs.",
                        f"`{name}: {{hash: 1000}}`",
                    )
                )
        delimiter = self._options().delimiter
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n '):
            errors.append(_wrong(("delimiter",), f"`{delimiter}` is no single character.", '`delimiter: ";"`'))
        elif delimiter is not None and delimiter == self.decimal:
            errors.append(
                _wrong(("decimal",), f"`{delimiter}` separates values and is the decimal mark.", '`delimiter: ";"`')
            )
        if self.classes is not None and (len(set(self.classes)) != len(self.classes) or len(self.classes) < 2):
            errors.append(_wrong(("classes",), "`classes` needs two different names at least.", "`classes: [no, yes]`"))
        if self.classes is not None and self.target_type == "number":
            errors.append(_wrong(("classes",), "a target that is a number has no `classes`.", "`target_type: class`"))
        if errors:
            raise together(errors)


def _wrong(keys: tuple[str, ...], message: str, example: Any) -> DlrunError:
    return DlrunError("wrong-source", message, path=("data", "source", *keys), hint=f"Write e.g. {example}.")
