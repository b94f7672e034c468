"""The small tables that scikit-learn brings."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from dlrun.data.source import Column, Place, Samples, Signature, Source, Split, sources
from dlrun.data.tables.reading import read_files
from dlrun.data.tables.rows import Options
from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType

_EVERY = 5
"""One row of so many is for testing."""


@sources("sklearn")
class Sklearn(Source):
    """A table that scikit-learn brings, without a download; it must be installed (the extra ``data``).

    The test split is every fifth row of each class (the fifth, the tenth, …), of a table without classes every fifth
    row; the order is scikit-learn's. Samples are numbers; files to predict are tables with the same column names.

    Args:
        dataset: `breast_cancer` (569 rows, 30 columns, 2 classes), `wine` (178, 13, 3), `iris` (150, 4, 3), `digits`
            (1,797, 64, 10), or `diabetes` (442, 10, a number to predict).
    """

    dataset: Literal["breast_cancer", "wine", "iris", "diabetes", "digits"]

    def signature(self, place: Place) -> Signature:
        table = _table(self.dataset)
        classes = None if table.names is None else len(table.names)
        return Signature(
            input=TensorType((len(table.columns),)),
            target=TensorType((), "float" if classes is None else "int"),
            classes=classes,
            class_names=table.names,
            sizes={"train": int((~table.test).sum()), "test": int(table.test.sum())},
            stored_dtype="float64",
            columns=tuple(map(Column, table.columns)),
        )

    def load(self, split: Split, place: Place) -> Samples:
        table = _table(self.dataset)
        rows = table.test if split == "test" else ~table.test
        return Samples(table.x[rows], table.y[rows])

    def read(self, files: Sequence[Path], signature: Signature) -> np.ndarray:
        """Rows of CSV, TSV, JSON lines or Parquet files; columns may come in any order, others are ignored."""
        return read_files(files, signature, Options(), "target")[0]


class _Table:
    """A table, with which of its rows are for testing."""

    def __init__(self, name: str) -> None:
        try:
            datasets = importlib.import_module("sklearn.datasets")
        except ImportError:
            raise DlrunError(
                "missing-library",
                f"`{name}` comes with scikit-learn, which is not installed.",
                path=("data", "source", "dataset"),
                hint="Install it: pip install 'dlrun[data]'",
            ) from None
        found = getattr(datasets, f"load_{name}")()
        labels = getattr(found, "target_names", None)
        self.x = np.asarray(found.data, np.float64)
        self.columns = tuple(map(str, found.feature_names))
        self.names = None if labels is None else tuple(map(str, labels))
        self.y = np.asarray(found.target, np.float32 if labels is None else np.int64)
        self.test = np.zeros(len(self.y), bool)
        for rows in [np.arange(len(self.y))] if labels is None else map(np.flatnonzero, _each(self.y)):
            self.test[rows[_EVERY - 1 :: _EVERY]] = True


def _each(y: np.ndarray) -> list[np.ndarray]:
    return [y == label for label in np.unique(y)]


@lru_cache(maxsize=2)
def _table(name: str) -> _Table:
    return _Table(name)
