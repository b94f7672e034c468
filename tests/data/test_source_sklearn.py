"""The tables of scikit-learn: the same numbers, split the same way every time."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlrun.data.source import Place, sources
from dlrun.errors import DlrunError

datasets = pytest.importorskip("sklearn.datasets")


def source(dataset: str) -> Any:
    return sources.get("sklearn")(dataset=dataset)


@pytest.mark.parametrize(
    ("dataset", "columns", "classes", "sizes"),
    [
        ("breast_cancer", 30, 2, (456, 113)),
        ("wine", 13, 3, (144, 34)),
        ("iris", 4, 3, (120, 30)),
        ("digits", 64, 10, (1442, 355)),
        ("diabetes", 10, None, (354, 88)),
    ],
)
def test_every_fifth_row_of_each_class_is_for_testing(
    dataset: str, columns: int, classes: int | None, sizes: tuple[int, int]
) -> None:
    signature = source(dataset).signature(Place())
    assert (signature.input.shape, signature.classes) == ((columns,), classes)
    assert (signature.sizes["train"], signature.sizes["test"]) == sizes
    assert len(signature.columns) == columns and all(c.ids == 0 for c in signature.columns)
    whole = getattr(datasets, f"load_{dataset}")()
    for label in range(classes or 1):
        rows = whole.data if classes is None else whole.data[whole.target == label]
        for split, kept in (("test", rows[4::5]), ("train", np.delete(rows, np.s_[4::5], axis=0))):
            samples = source(dataset).load(split, Place())
            assert samples.y.dtype == (np.float32 if classes is None else np.int64)
            x = samples.x if classes is None else samples.x[samples.y == label]
            np.testing.assert_array_equal(x, kept)


def test_files_are_predicted_by_their_columns(tmp_path: Path) -> None:
    signature = source("iris").signature(Place())
    names = [c.name for c in signature.columns]
    (tmp_path / "a.csv").write_text(",".join(reversed(names)) + ",more\n4,3,2,1,x\n")
    np.testing.assert_array_equal(source("iris").read([tmp_path / "a.csv"], signature), [[1, 2, 3, 4]])


def test_without_scikit_learn_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from dlrun.data.sources import sklearn

    sklearn._table.cache_clear()
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(DlrunError) as caught:
        source("wine").signature(Place())
    assert caught.value.code == "missing-library" and "pip install 'dlrun[data]'" in (caught.value.hint or "")
