"""Data that is not what it was, or cannot be read: told before a training, or after it without losing it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlrun.config import compose
from dlrun.errors import DlrunError
from dlrun.run.evaluate import evaluate
from dlrun.run.train import train
from dlrun.run.trainer import TrainResult

TABLE = """
task: tabular_classification
data: {source: {name: table, train: t.csv, test: u.csv, target: y}, batch_size: 8, validation: 8}
model: {layers: [dense]}
train: {epochs: 1}
device: {threads: 1}
tracker: none
"""
PICTURES = """
task: image_classification
data: {source: {name: image_folder, size: 256}, batch_size: 4, memory_mb: 1}
model: {layers: [flatten, dense]}
metrics: [accuracy]
train: {epochs: 1}
device: {threads: 1}
tracker: none
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def table(path: str, rows: int, first: str = "0.5") -> None:
    lines = [f"{first if not i else i * 0.25},{'no' if i % 2 else 'yes'}" for i in range(rows)]
    Path(path).write_text("\n".join(["x,y", *lines]) + "\n")


def pictures() -> None:
    """Eight for training and eight for testing, one of these empty."""
    for split in ("train", "test"):
        for i in range(8):
            path = Path(split, "ab"[i % 2], f"{i}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((4, 4, 3), 30 * i, np.uint8)).save(path)
    Path("test/a/2.png").write_bytes(b"")


def started(recipe: str, *overrides: str) -> TrainResult:
    Path("r.yaml").write_text(recipe)
    return train(compose(["recipe=./r.yaml", *overrides]))


@pytest.mark.parametrize(("rows", "first"), [(48, "0.5"), (32, "0.75")])
def test_a_run_does_not_go_on_with_other_samples(rows: int, first: str) -> None:
    table("t.csv", 32)
    table("u.csv", 8)
    run = started(TABLE).directory
    before = (run / "metrics.jsonl").read_bytes()
    table("t.csv", rows, first)
    again = [f"recipe={run}/recipe.yaml", "train.epochs=2"]
    with pytest.raises(DlrunError, match="does not hold the samples") as caught:
        train(compose(again), resume=run)
    assert caught.value.code == "data-changed" and "model.weights={file: " in (caught.value.hint or "")
    assert (run / "metrics.jsonl").read_bytes() == before
    table("t.csv", 32)
    assert train(compose(again), resume=run).reason == "finished"


def test_missing_numbers_in_the_test_file_are_told_before_training() -> None:
    table("t.csv", 32)
    table("u.csv", 8, first="")
    with pytest.raises(DlrunError, match="numbers of the test split are missing"):
        started(TABLE)
    assert not Path("outputs").exists()


def test_what_was_trained_stays_when_a_test_picture_cannot_be_read() -> None:
    pictures()
    with pytest.raises(DlrunError, match=r"2\.png") as caught:
        started(PICTURES)
    (run,) = Path("outputs/r").iterdir()
    assert f"Training is done; then: dlrun eval {run.absolute()}" in (caught.value.hint or "").replace(
        "outputs", str(Path("outputs").absolute())
    )
    result = json.loads((run / "result.json").read_text())
    assert result["reason"] == "finished" and "train_loss" in result["metrics"]
    assert "test_accuracy" not in result["metrics"]
    assert evaluate(run, overrides=["data.source.unreadable=skip"]).samples == 7
