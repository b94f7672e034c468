"""What stands beside an exported file is enough to feed it, without dlrun and without the run."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from dlrun.config import compose
from dlrun.export.trained import export
from dlrun.run.predict import predict
from dlrun.run.train import train

TABLE = """
task: tabular_regression
data:
  source: {name: table, train: t.csv, target: y, columns: {user: {hash: 7}}}
  batch_size: 8
  preprocess: [impute, normalize]
model: {layers: [one_hot_columns: {categories: "${data.columns}"}, dense: {units: 1}]}
"""
PICTURES = """
task: image_classification
data:
  source: {name: image_folder, size: [12, 16], test: null, fit: crop}
  batch_size: 4
  augment: [random_crop: {size: [8, 10]}, random_flip]
model: {layers: [flatten, dense]}
"""
COMMON = "train: {epochs: 1}\ndevice: {threads: 1}\ntracker: none\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def exported(recipe: str, backend: str) -> tuple[Path, dict, onnxruntime.InferenceSession]:
    Path("r.yaml").write_text(recipe + COMMON)
    run = train(compose(["recipe=./r.yaml", f"backend={backend}"])).directory
    made = export(run, "onnx")
    return run, json.loads(made.description.read_text()), onnxruntime.InferenceSession(made.path)


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_rows_of_a_table(backend: str) -> None:
    rows = [["größe", "plan", "user", "y"]]
    rows += [[str(i * 0.5) if i % 5 else "", ("gold", "blau", "")[i % 3], f"u{i}", str(i)] for i in range(40)]
    Path("t.csv").write_text("\n".join(",".join(row) for row in rows) + "\n")
    run, described, session = exported(TABLE, backend)
    with open("new.csv", "w", newline="") as file:
        csv.writer(file).writerows(
            [["plan", "user", "größe"], ["gold", "u3", "2.5"], ["neu", "wer?", ""], ["", "", "-1"]]
        )
    with open("new.csv", newline="") as file:
        cells = list(csv.DictReader(file))
    x = np.zeros((3, len(described["columns"])))
    for i, cell in enumerate(cells):
        for j, column in enumerate(described["columns"]):
            text = cell[column["name"]]
            if "buckets" in column:
                digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
                x[i, j] = 1 + int.from_bytes(digest, "little") % column["buckets"] if text else 0
            elif "categories" in column:
                x[i, j] = column["categories"].index(text) + 1 if text in column["categories"] else 0
            else:
                x[i, j] = float(text) if text else np.nan
    (theirs,) = session.run(None, {"input": x.astype(described["input"]["dtype"])})
    ours = [p.answer.said["value"] for p in predict(run, [Path("new.csv")])]
    np.testing.assert_allclose(theirs[:, 0], ours, rtol=1e-5)


def test_picture_files() -> None:
    rng = np.random.default_rng(0)
    for i in range(8):
        path = Path("train", "ab"[i % 2], f"{i}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).save(path)
    run, described, session = exported(PICTURES, "torch")
    assert described["columns"] is None
    assert described["picture"]["size"] == [12, 16] and described["picture"]["fit"] == "crop"
    assert described["picture"]["steps"][-1] == "8 x 10 pixels (height, width) cut from the middle"
    x = np.asarray(Image.open("train/a/0.png"))[None, 2:10, 3:13]
    (logits,) = session.run(None, {"input": x})
    (ours,) = predict(run, [Path("train/a/0.png")])
    shares = np.exp(logits[0]) / np.exp(logits[0]).sum()
    np.testing.assert_allclose(shares.max(), ours.answer.said["score"], rtol=1e-5)
