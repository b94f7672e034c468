"""The page about a data set: samples as training sees them, and sizes of pictures wherever they lie."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dlrun.config import compose
from dlrun.data.feed import Feed
from dlrun.data.survey import Survey, survey
from dlrun.report.data import keep
from dlrun.run import fitted

RNG = np.random.default_rng(0)
FOLDERS = "{name: image_folder, train: train, test: null, size: 12}"
SHARDS = "{name: tar_shards, train: train.tar, size: 12}"
PARQUET = "{name: huggingface, dataset: pets, size: 12, test: null}"
RECIPE = """\
data:
  source: SOURCE
  batch_size: 8
  augment: AUGMENT
  preprocess: []
  sampling: balanced
model: {layers: [flatten, dense]}
"""


def png(height: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(RNG.integers(0, 255, (height, 10, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def surveyed(tmp_path: Path, source: str, augment: str = "[]") -> tuple[Feed, Survey, str]:
    """What is found in a recipe's data, and its page."""
    recipe = tmp_path / "r.yaml"
    recipe.write_text(RECIPE.replace("SOURCE", source).replace("AUGMENT", augment))
    plan = compose([f"recipe={recipe}", f"data.root={tmp_path}"], check_installed=False).plan
    feed = Feed(plan, survey=True)
    found = survey(plan, feed)
    return feed, found, keep(plan, feed, found, tmp_path / "page").read_text("utf-8")


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Two classes of pictures, one of them with a single one, which an epoch of equal shares visits many times."""
    for name, count in (("cat", 1), ("dog", 30)):
        (tmp_path / "train" / name).mkdir(parents=True)
        for i in range(count):
            (tmp_path / "train" / name / f"{i:02}.png").write_bytes(png(12))
    return tmp_path


def test_samples_are_changed_as_training_changes_them(folders: Path) -> None:
    feed, _, page = surveyed(folders, FOLDERS, "[random_flip, {random_crop: {padding: 4}}]")
    images = [base64.b64decode(found) for found in re.findall('base64,([^"]+)"', page)]
    shown = [np.asarray(Image.open(io.BytesIO(image))) for image in images]
    trained = np.concatenate([x for x, _ in feed.batches(0)])
    assert len(shown) == 24
    np.testing.assert_array_equal(np.stack(shown), np.round(trained[:24] * 255))


def test_only_changes_that_are_shown_are_told(folders: Path) -> None:
    assert "of epoch 1, after `random_flip`.<" in surveyed(folders, FOLDERS, "[random_flip, mixup]")[2]
    assert "of epoch 1.<" in surveyed(folders, FOLDERS, "[mixup]")[2]


def test_sizes_of_pictures_in_tar_files(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "train.tar", "w") as archive:
        for i in range(12):
            for name, data in ((f"{i}.png", png(9 if i else 20)), (f"{i}.cls", b"%d" % (i % 2))):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    assert surveyed(tmp_path, SHARDS)[1].splits[0].sizes == {"10x9": 11, "10x20": 1}


def test_sizes_of_pictures_in_parquet_files(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="`datasets` is not installed: pip install 'dlrun[huggingface]'")
    (tmp_path / "pets").mkdir()
    rows = {"image": [{"bytes": png(9 if i else 20), "path": None} for i in range(12)], "label": [0, 1] * 6}
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    datasets.Dataset.from_dict(rows, features=features).to_parquet(str(tmp_path / "pets" / "train.parquet"))
    assert surveyed(tmp_path, PARQUET)[1].splits[0].sizes == {"10x9": 11, "10x20": 1}


def test_labels_that_belong_to_no_class_are_shown_as_they_are(tmp_path: Path) -> None:
    labels = np.r_[np.arange(18) % 2, 255, 255]
    np.savez(tmp_path / "train.npz", x=RNG.random((20, 3)), y=labels, class_names=np.array(["cat", "dog"]))
    recipe = RECIPE.replace("AUGMENT", "[]").replace("balanced", "natural")
    recipe += "task: classification\nloss: {name: softmax_cross_entropy, ignore_index: 255}\n"
    (tmp_path / "r.yaml").write_text(recipe.replace("SOURCE", "{name: npz, train: train.npz, ignore_label: 255}"))
    plan = compose([f"recipe={tmp_path / 'r.yaml'}", f"data.root={tmp_path}"], check_installed=False).plan
    feed = Feed(plan, survey=True)
    found = survey(plan, feed)
    page = keep(plan, feed, found, tmp_path / "page").read_text("utf-8")
    assert found.splits[0].classes == {"cat": 9, "dog": 9} and page.count("<b>255</b>") == 2


def test_names_that_are_no_utf_8(tmp_path: Path) -> None:
    """As an archive from elsewhere leaves them."""
    for i in range(8):
        path = Path(os.fsdecode(os.fsencode(tmp_path / "train") + b"/" + (b"caf\xe9", b"t\xe9")[i % 2]), f"{i}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(12))
    (path.parent / os.fsdecode(b"\xff.png")).write_bytes(path.read_bytes())
    surveyed(tmp_path, FOLDERS)
    said = json.loads((tmp_path / "page" / "survey.json").read_text("utf-8"))
    names = [os.fsdecode(b"caf\xe9"), os.fsdecode(b"t\xe9")]
    assert list(said["splits"][0]["classes"]) == names and said["splits"][0]["duplicates"] == 1
    plan = compose([f"recipe={tmp_path / 'r.yaml'}", f"data.root={tmp_path}"], check_installed=False).plan
    fitted.write(tmp_path / "fitted.json", plan)
    kept = fitted.read(tmp_path / "fitted.json")
    assert kept is not None and list(kept.signature.class_names or ()) == names
