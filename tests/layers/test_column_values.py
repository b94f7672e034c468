"""Rows of a table: hand-worked numbers, what is no id, gradients, and where weights stay exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlrun.errors import DlrunErrors
from dlrun.graph import TensorType, build_graph, layers

CATEGORIES = (0, 3, 0, 2)
X = np.array([[0.5, 2.0, -7.0, 0.0], [1.5, 0.0, 8.0, 1.0], [2.5, 1.0, 9.0, 1.0]])
ODD = np.array([[0.0, v, 0.0, v] for v in (-1.0, 3.0, 1.5, np.nan, np.inf, -np.inf, 1e30)])


def test_one_hot(run_layer: Any) -> None:
    for ran in run_layer("one_hot_columns", {"categories": CATEGORIES}, X).values():
        expected = [
            [0.5, -7, 0, 0, 1, 1, 0],
            [1.5, 8, 1, 0, 0, 0, 1],
            [2.5, 9, 0, 1, 0, 0, 1],
        ]
        np.testing.assert_array_equal(ran.output, expected)
        np.testing.assert_array_equal(ran.gradients["input"], [[1, 0, 1, 0]] * 3)


def test_what_is_no_id_counts_as_id_0(run_layer: Any) -> None:
    tables = {"table1": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], "table3": [[7.0], [8.0]]}
    for ran in run_layer("one_hot_columns", {"categories": CATEGORIES}, ODD).values():
        np.testing.assert_array_equal(ran.output, [[0, 0, 1, 0, 0, 1, 0]] * len(ODD))
    for ran in run_layer("column_embedding", {"categories": CATEGORIES}, ODD, tables).values():
        np.testing.assert_array_equal(ran.output, [[0, 0, 1, 2, 7]] * len(ODD))
        np.testing.assert_array_equal(ran.gradients["l.table1"], [[7, 7], [0, 0], [0, 0]])


def test_embedding(run_layer: Any) -> None:
    tables = {"table1": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], "table3": [[7.0], [8.0]]}
    for ran in run_layer("column_embedding", {"categories": CATEGORIES}, X, tables).values():
        np.testing.assert_array_equal(ran.output, [[0.5, -7, 5, 6, 7], [1.5, 8, 1, 2, 8], [2.5, 9, 3, 4, 8]])
        np.testing.assert_array_equal(ran.gradients["l.table1"], np.ones((3, 2)))
        np.testing.assert_array_equal(ran.gradients["l.table3"], [[1], [2]])
        np.testing.assert_array_equal(ran.gradients["input"], [[1, 0, 1, 0]] * 3)


@pytest.mark.parametrize("kind", ["one_hot_columns", "column_embedding"])
def test_numbers_alone_are_left_as_they_are(kind: str, run_layer: Any) -> None:
    for ran in run_layer(kind, {"categories": (0,) * 4}, X).values():
        np.testing.assert_array_equal(ran.output, X)
        np.testing.assert_array_equal(ran.gradients["input"], np.ones_like(X))


@pytest.mark.parametrize(("ids", "units"), [(1, 1), (2, 1), (3, 2), (10, 5), (98, 49), (99, 50), (1000, 50)])
def test_the_rule_for_units(ids: int, units: int) -> None:
    layer = layers.get("column_embedding")(categories=(0, ids))
    assert layer.infer(TensorType((2,))).shape == (1 + units,)
    (table,) = layer.weights(TensorType((2,)))
    assert (table.name, table.shape) == ("table1", (ids, units))


def test_large_ids_are_exact_in_float32(natives: dict[str, Any]) -> None:
    count = 70_001  # above what float16 and bfloat16 hold
    graph = build_graph([layers.get("column_embedding")(categories=(count,), units=1, name="l")], TensorType((1,)))
    table = np.arange(count, dtype=np.float32)[:, None]
    x = np.array([[0], [257], [65_537], [70_000]], np.float32)
    for native in natives.values():
        ran = native.run(graph, {"l.table0": table}, x, np.ones((4, 1), np.float32), False)
        np.testing.assert_array_equal(ran.output, x)


def test_the_number_of_columns_must_fit() -> None:
    with pytest.raises(DlrunErrors) as caught:
        build_graph([layers.get("one_hot_columns")(categories=(0, 3))], TensorType((3,)))
    (error,) = caught.value.errors
    assert error.code == "columns-mismatch" and "`2` entries, but rows have 3 columns" in error.message
    assert error.hint == 'Write `categories: "${data.columns}"`.'
