"""A task that does not fit the data is the mistake that is told, whatever else it breaks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dlrun.config import compose
from dlrun.errors import DlrunErrors


@pytest.mark.parametrize(
    ("task", "shape", "labels", "fits"),
    [
        ("tabular_regression", (3,), "int", "tabular_classification"),
        ("regression", (4, 4, 1), "int", "image_classification"),
        ("regression", (2, 2, 2, 2), "int", "classification"),
        ("tabular_classification", (3,), "float", "tabular_regression"),
        ("classification", (2, 2, 2, 2), "float", "regression"),
    ],
)
def test_labels_of_the_other_kind(tmp_path: Path, task: str, shape: tuple[int, ...], labels: str, fits: str) -> None:
    """Also where the last layer leaves its width to the data."""
    y = np.array([0, 1, 2, 1, 0, 2])
    np.savez(
        tmp_path / "train.npz",
        x=np.zeros((6, *shape), np.float32),
        y=y.astype(labels) * (1 if labels == "int" else 0.3),
    )
    recipe = tmp_path / "r.yaml"
    recipe.write_text(f"""\
task: {task}
data: {{source: {{name: npz, train: {tmp_path}/train.npz}}, batch_size: 2}}
model: {{layers: [flatten, dense]}}
""")
    with pytest.raises(DlrunErrors) as caught:
        assert compose([f"recipe={recipe}"]).plan
    (error,) = [e for e in caught.value.errors if e.code == "wrong-task"]
    assert error.hint == f"Use `task: {fits}`."
    assert [e.code for e in caught.value.errors] == ["wrong-task"]


def test_a_metric_of_the_users_own_is_told_beside_it(tmp_path: Path) -> None:
    np.savez(tmp_path / "train.npz", x=np.zeros((6, 3), np.float32), y=np.array([0, 1, 2, 1, 0, 2]))
    recipe = tmp_path / "r.yaml"
    recipe.write_text(f"""\
task: tabular_regression
data: {{source: {{name: npz, train: {tmp_path}/train.npz}}, batch_size: 2}}
model: {{layers: [dense]}}
metrics: [mae]
""")
    with pytest.raises(DlrunErrors) as caught:
        assert compose([f"recipe={recipe}"]).plan
    assert [e.code for e in caught.value.errors] == ["wrong-task", "metric-needs-numbers"]
