"""Data sets written by `datasets` itself: on disk and as Parquet; nothing is fetched."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture

from dlrun.data.source import Place, sources
from dlrun.errors import DlrunError

datasets = pytest.importorskip("datasets", reason="`datasets` is not installed: pip install 'dlrun[huggingface]'")


def png(value: int, size: tuple[int, int] = (4, 6)) -> bytes:
    out = io.BytesIO()
    Picture.new("RGB", (size[1], size[0]), (value, value, value)).save(out, "PNG")
    return out.getvalue()


def table(values: range, kind: Any = None, **columns: Any) -> Any:
    """Images of one grey each, labels 0, 1, 0, …"""
    kind = kind or datasets.ClassLabel(names=["cat", "dog"])
    features = {"image": datasets.Image(), "label": kind, "note": datasets.Value("string")}
    made = {"image": [{"bytes": png(v), "path": None} for v in values], "label": [v % 2 for v in values]}
    made["note"] = ["x"] * len(values)
    return datasets.Dataset.from_dict({**made, **columns}, features=datasets.Features(features))


def source(**fields: Any) -> Any:
    return sources.get("huggingface")(**{"dataset": "pets", "size": (4, 6), **fields})


def error_of(root: Path, **fields: Any) -> DlrunError:
    with pytest.raises(DlrunError) as caught:
        source(**fields).signature(Place(str(root)))
    assert caught.value.exit_code == 2
    return caught.value


def write(root: Path, form: str, **splits: Any) -> None:
    if form == "disk":
        datasets.DatasetDict(splits).save_to_disk(str(root / "pets"))
        return
    folder = root / "pets" / ("data" if form == "parquet in data" else "")
    folder.mkdir(parents=True)
    for name, rows in splits.items():
        half = len(rows) // 2
        rows.select(range(half)).to_parquet(str(folder / f"{name}-00000-of-00002.parquet"))
        rows.select(range(half, len(rows))).to_parquet(str(folder / f"{name}-00001-of-00002.parquet"))


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.mark.parametrize("form", ["disk", "parquet", "parquet in data"])
def test_images_and_labels(tmp_path: Path, form: str) -> None:
    write(tmp_path, form, train=table(range(20)), test=table(range(30, 35)))
    place = Place(str(tmp_path), download=False)
    signature = source().signature(place)
    assert (signature.input.shape, signature.classes, signature.class_names) == ((4, 6, 3), 2, ("cat", "dog"))
    assert (signature.sizes, signature.scale) == ({"train": 20, "test": 5}, 1 / 255)
    reader = source().open("train", place)
    assert reader.y.tolist() == [0, 1] * 10
    rows = np.array([19, 0, 7, 7])
    assert reader.take(rows)[:, 3, 5, 2].tolist() == rows.tolist()
    assert len(reader.take(rows[:0])) == 0
    whole = source(test=None).load("train", place)
    assert whole.x[:, 0, 0, 0].tolist() == list(range(20))
    assert source().load("test", place).y.tolist() == [0, 1, 0, 1, 0]
    assert reader.name(3).startswith("pets[3]")


def test_size_fit_and_prediction(tmp_path: Path) -> None:
    wide = [{"bytes": png(200, (2, 12)), "path": None}] * 2
    write(tmp_path, "disk", train=table(range(2), image=wide))
    (tmp_path / "a.png").write_bytes(png(200, (2, 12)))
    for fit, corner in (("stretch", 200), ("crop", 200), ("pad", 0)):
        chosen = source(test=None, size=6, channels=1, fit=fit)
        x = chosen.load("train", Place(str(tmp_path))).x
        assert (x.shape, x[0, 0, 0, 0]) == ((2, 6, 6, 1), corner)
        np.testing.assert_array_equal(chosen.read([tmp_path / "a.png"], None)[0], x[0])


def test_names_of_splits_and_columns(tmp_path: Path) -> None:
    rows = table(range(4)).rename_columns({"image": "img", "label": "fine_label"})
    write(tmp_path, "disk", training=rows, held=rows.select(range(2)))
    chosen = source(train="training", test="held", image="img", label="fine_label")
    assert chosen.signature(Place(str(tmp_path))).sizes == {"train": 4, "test": 2}
    error = error_of(tmp_path, train="trainig", image="img", label="fine_label")
    assert (error.code, error.path) == ("missing-split", ("data", "source", "train"))
    assert "Did you mean `training`?" in (error.hint or "")
    error = error_of(tmp_path, train="training", image="img", label="fine_label")
    assert (error.code, error.path) == ("missing-split", ("data", "source", "test"))
    assert "`test: null`" in (error.hint or "")
    for field, fields in (("image", {"label": "fine_label"}), ("label", {"image": "img", "label": "fine_labels"})):
        error = error_of(tmp_path, train="training", test=None, **fields)
        assert (error.code, error.path) == ("missing-column", ("data", "source", field))
        assert f"`{'img' if field == 'image' else 'fine_label'}`" in (error.hint or "")
    error = error_of(tmp_path, train="training", test=None, image="note", label="fine_label")
    assert (error.code, "not images" in error.message) == ("wrong-column", True)


def test_a_single_data_set_is_the_training_split(tmp_path: Path) -> None:
    table(range(4)).save_to_disk(str(tmp_path / "pets"))
    assert source(test=None).signature(Place(str(tmp_path))).sizes == {"train": 4}


def test_labels_that_are_numbers_or_texts(tmp_path: Path) -> None:
    number, text = datasets.Value("int32"), datasets.Value("string")
    write(tmp_path / "n", "disk", train=table(range(3), number, label=[0, 4, 1]))
    signature = source(test=None).signature(Place(str(tmp_path / "n")))
    assert (signature.classes, signature.class_names) == (5, None)
    said = ["dog", "ant", "dog"]
    write(tmp_path / "t", "disk", train=table(range(3), text, label=said), test=table(range(1), text, label=["dog"]))
    place = Place(str(tmp_path / "t"))
    signature = source().signature(place)
    assert signature.class_names == ("ant", "dog")
    assert source().load("train", place).y.tolist() == [1, 0, 1]
    assert source().load("test", place).y.tolist() == [1]
    known = Place(str(tmp_path / "t"), known=source().signature(place))
    assert source().load("test", known).y.tolist() == [1]


def test_names_say_which_class_it_is_in_every_split(tmp_path: Path) -> None:
    other = datasets.ClassLabel(names=["fox", "dog", "cat"])
    write(tmp_path / "a", "disk", train=table(range(4)), test=table(range(4), other, label=[2, 1, 1, 2]))
    place = Place(str(tmp_path / "a"))
    signature = source().signature(place)
    assert (signature.class_names, source().load("test", place).y.tolist()) == (("cat", "dog"), [0, 1, 1, 0])
    write(tmp_path / "b", "disk", train=table(range(2), other, label=[2, 1]))
    known = Place(str(tmp_path / "b"), known=signature)
    assert source(test=None).load("train", known).y.tolist() == [0, 1]
    write(tmp_path / "c", "disk", train=table(range(2)), test=table(range(2), other, label=[1, 0]))
    error = error_of(tmp_path / "c")
    assert (error.code, error.path) == ("unknown-class", ("data", "source", "label"))
    assert "the label `fox` of the test split is none of the classes of the training split" in error.message


def test_ids_without_names_go_no_further_than_the_classes(tmp_path: Path) -> None:
    number = datasets.Value("int64")
    write(tmp_path, "disk", train=table(range(2)), test=table(range(2), number, label=[1, 2]))
    error = error_of(tmp_path)
    assert error.code == "label-out-of-range"
    assert "the test split has the label `2`; ids of 2 classes go to 1" in error.message


@pytest.mark.parametrize(
    ("kind", "train", "test", "code", "words"),
    [
        ("int64", [0, -1], [0], "label-out-of-range", "the label `-1`"),
        ("int64", [0, None], [0], "wrong-label", "some of them missing"),
        ("float32", [0.5, 1.5], [0], "wrong-label", "float32"),
        ("string", ["a", None], ["a"], "wrong-label", "some of them missing"),
        ("string", ["cat", "dog"], ["cats"], "unknown-class", "the label `cats` of the test split"),
    ],
)
def test_labels_that_are_none(tmp_path: Path, kind: str, train: Any, test: Any, code: str, words: str) -> None:
    value = datasets.Value(kind)
    write(tmp_path, "disk", train=table(range(2), value, label=train), test=table(range(1), value, label=test))
    error = error_of(tmp_path)
    assert (error.code, error.path) == (code, ("data", "source", "label"))
    assert words in error.message


def test_an_image_that_cannot_be_read(tmp_path: Path) -> None:
    images = [{"bytes": png(1), "path": None}, {"bytes": b"text", "path": "b.jpg"}]
    write(tmp_path, "disk", train=table(range(2), image=images))
    reader = source(test=None).open("train", Place(str(tmp_path)))
    with pytest.raises(DlrunError) as caught:
        reader.take(np.arange(2))
    assert caught.value.code == "unreadable-image"
    assert caught.value.message == "`pets[1]` is not a readable image: it has no known image format."
    assert reader.name(1) == "pets[1] (b.jpg)"


def test_what_is_no_data_set(tmp_path: Path) -> None:
    (tmp_path / "pets").mkdir()
    error = error_of(tmp_path)
    assert (error.code, error.path) == ("wrong-dataset", ("data", "source", "dataset"))
    assert "neither what `save_to_disk` wrote nor" in error.message
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "train.parquet").write_bytes(b"nothing")
    error = error_of(tmp_path, dataset="other")
    assert (error.code, error.message.startswith("`other` cannot be opened: ")) == ("wrong-dataset", True)


def test_the_hub_is_not_asked_when_downloading_is_off(tmp_path: Path) -> None:
    code = (
        "import sys; from dlrun.data.source import Place, sources; from dlrun.errors import DlrunError\n"
        "try: sources.get('huggingface')(dataset='nobody/nothing', size=4).signature(Place(sys.argv[1], False))\n"
        "except DlrunError as e: print(e)\n"
        "print([m for m in ('torch', 'tensorflow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=120)
    said, loaded = done.stdout.splitlines()
    assert said.startswith("missing-data: `nobody/nothing` cannot be opened: ") and "Offline" in said, done.stderr
    assert loaded == "[]"


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    error = error_of(tmp_path)
    assert (error.code, error.hint) == ("missing-library", "Install it: pip install 'dlrun[huggingface]'")
