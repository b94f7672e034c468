"""``dlrun data``: what is told of a data set before anything is trained on it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

RECIPE = """\
data:
  source: {name: image_folder, train: pictures/train, test: pictures/test, size: 16}
  batch_size: 8
  augment: [random_flip]
  preprocess: [normalize]
model: {layers: [flatten, dense]}
"""
TABLE = """\
task: tabular_classification
data:
  source: {name: table, train: train.csv, target: left}
  preprocess: [impute, normalize]
model: {layers: [dense]}
"""


@pytest.fixture
def run(tmp_path, monkeypatch, in_process):
    """Runs a command in this process: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 4)):
        for name in ("кошка", "<b>&"):
            folder = tmp_path / "pictures" / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 255, (20 + i % 2, 24, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i:02}.png")
    (tmp_path / "pictures.yaml").write_text(RECIPE)
    return in_process


def survey(run, *words: str) -> dict:
    code, out, err = run("data", *words, "--json", "--quiet")
    assert code == 0, err
    return json.loads(out)


def test_sound_data_are_counted_and_nothing_is_found(run, tmp_path):
    found = survey(run, "pictures.yaml")
    train, test = found["splits"]
    assert train["classes"] == {"<b>&": 12, "кошка": 12} and test["samples"] == 8
    assert train["sizes"] == {"24x20": 12, "24x21": 12}
    assert [c["name"] for c in train["channels"]] == ["channel 1", "channel 2", "channel 3"]
    assert found["problems"] == [] and found["overlap"] == 0
    page = Path(found["page"]).read_text(encoding="utf-8")
    assert page.count("<img") == 24 and "&lt;b&gt;&amp;" in page and "/<b>" not in page and "Nothing was found" in page
    assert "http" not in page.replace("http://www.w3.org", "") and "<script" not in page
    assert json.loads((Path(found["page"]).parent / "survey.json").read_text())["splits"] == found["splits"]


def test_values_are_those_of_the_samples(run, tmp_path):
    train = survey(run, "pictures.yaml", "data.source.size=[20,24]")["splits"][0]
    pictures = []
    for path in sorted(tmp_path.glob("pictures/train/*/*.png")):
        with Image.open(path) as image:
            pictures.append(np.asarray(image.resize((24, 20), Image.Resampling.BILINEAR)))
    values = np.concatenate([p.reshape(-1, 3) for p in pictures]).astype(np.float64)
    for channel, column in zip(train["channels"], values.T, strict=True):
        assert (channel["low"], channel["high"]) == (column.min(), column.max())
        assert channel["mean"] == pytest.approx(column.mean()) and channel["std"] == pytest.approx(column.std())


def test_problems_are_counted_and_named(run, tmp_path):
    place = tmp_path / "pictures"
    shutil.copy(place / "train/кошка/00.png", place / "train/<b>&/90.png")
    shutil.copy(place / "train/кошка/01.png", place / "train/кошка/91.png")
    shutil.copy(place / "train/кошка/02.png", place / "test/кошка/92.png")
    (place / "train/кошка/95.png").write_text("no picture")
    found = survey(run, "pictures.yaml")
    train, test = found["splits"]
    assert (train["duplicates"], train["conflicts"], train["unreadable"], found["overlap"]) == (2, 1, 1, 1)
    assert (test["duplicates"], test["unreadable"]) == (0, 0)
    assert "95.png" in train["unreadable_named"][0]
    ((name, other),) = found["overlap_named"]
    assert name.endswith("test/кошка/92.png") and other.endswith("train/кошка/02.png")
    code, out, err = run("data", "pictures.yaml", "-q")
    assert code == 0
    for said in ("cannot be read", "equal to another", "another label", "also in `train`"):
        assert said in err, said
    assert "open outputs/data/pictures/report.html" in err and "25" not in out.split("кошка")[0]


def test_every_test_sample_that_is_a_training_sample_counts(run, tmp_path):
    for number in range(5):
        shutil.copy(tmp_path / "pictures/train/кошка/03.png", tmp_path / f"pictures/test/кошка/9{number}.png")
    found = survey(run, "pictures.yaml")
    assert found["overlap"] == len(found["overlap_named"]) == 5
    assert any(problem.startswith("5 samples of `test` are also in `train`") for problem in found["problems"])


def test_missing_values_of_a_table_are_told_by_column(run, tmp_path):
    rows = [f"{i},{'' if i % 5 == 0 else i * 2},{'abc'[i % 3]},7,{'yn'[i % 2]}" for i in range(40)]
    (tmp_path / "train.csv").write_text("\n".join(["a,b,c,same,left", *rows]) + "\n")
    (tmp_path / "table.yaml").write_text(TABLE)
    found = survey(run, "table.yaml", "data.batch_size=8")
    (train,) = found["splits"]
    assert {c["name"]: c["missing"] for c in train["channels"]} == {"a": 0, "b": 8, "same": 0}
    assert any("`b`" in p and "missing" in p for p in found["problems"])
    assert any("`same`" in p and "same value" in p for p in found["problems"])
    assert "b: nan" in Path(found["page"]).read_text() or "b: " in Path(found["page"]).read_text()


def test_hashed_columns_are_shown_by_their_ids(run, tmp_path):
    rows = [f"{i},user{i},{'yn'[i % 2]}" for i in range(40)]
    (tmp_path / "train.csv").write_text("\n".join(["a,user,left", *rows]) + "\n")
    (tmp_path / "table.yaml").write_text(TABLE.replace("left}", "left, columns: {user: {hash: 5}}}"))
    found = survey(run, "table.yaml", "data.batch_size=8")
    assert "user: #5" in Path(found["page"]).read_text()


def test_missing_values_without_impute_stop_training_with_the_column(run, tmp_path):
    """They are counted before, though."""
    (tmp_path / "train.csv").write_text("a,b,left\n1,2,y\n,3,n\n4,,y\n5,,n\n6,1,y\n7,8,n\n9,9,y\n")
    (tmp_path / "table.yaml").write_text(TABLE.replace("impute, ", ""))
    (train,) = survey(run, "table.yaml", "data.batch_size=2")["splits"]
    assert [c["missing"] for c in train["channels"]] == [1, 2]
    code, _, err = run("train", "table.yaml", "data.batch_size=2")
    assert code == 2 and err.startswith("missing-values: ") and "1 in `a`, 2 in `b`" in err and "`impute`" in err


def test_a_folder_that_cannot_be_written_is_named(run, tmp_path):
    (tmp_path / "taken").write_text("a file")
    code, _, err = run("data", "pictures.yaml", "--out", "taken/page", "-q")
    assert code == 1 and err.startswith("cannot-write: ") and "taken" in err


def test_columns_of_categories_are_counted_by_category(run, tmp_path):
    rows = [f"{'' if i < 3 else 'Bern' if i < 30 else 'Łódź'},u{i % 4},{i % 7},{'yn'[i % 2]}" for i in range(40)]
    (tmp_path / "train.csv").write_text("\n".join(["city,user,a,left", *rows]) + "\n")
    (tmp_path / "test.csv").write_text("city,user,a,left\n,,1,y\nRom,u1,2,n\nBern,u2\nRom,u1\nBern,u9,3,y\n")
    source = "train.csv, test: test.csv, bad_rows: skip, columns: {user: {hash: 9}}"
    (tmp_path / "table.yaml").write_text(TABLE.replace("train.csv", source))
    found = survey(run, "table.yaml", "data.batch_size=8")
    train, test = found["splits"]
    city, user = train["categories"]
    common = {"name": "city", "categories": 2, "unknown": 0, "missing": 3}
    assert city == {**common, "frequent": {"Bern": 27, "Łódź": 10}}
    assert (user["categories"], sum(user["frequent"].values())) == (9, 40)
    assert all(name.startswith("#") for name in user["frequent"])
    assert [(c["missing"], c["unknown"]) for c in test["categories"]] == [(1, 1), (1, 0)]
    assert [c["name"] for c in train["channels"]] == ["a"]
    assert "values of `train` are missing in `city`." in found["problems"]
    assert test["left_out"] == ["`test.csv:4`: it has 2 values, not 4", "`test.csv:5`: it has 2 values, not 4"]
    assert any(note.endswith("not 4; `dlrun data` names all of them.") for note in found["notes"])
    _, out, _ = run("data", "table.yaml", "data.batch_size=8", "-q")
    page = Path(found["page"]).read_text(encoding="utf-8")
    assert "Bern 27, Łódź 10" in out and "Bern 27, Łódź 10" in page and "`test.csv:5`: it has 2 values" in page


def test_the_screen_names_three_of_each_problem(run, tmp_path):
    place = tmp_path / "pictures/train/кошка"
    for i in range(5):
        (place / f"{i:02}.png").write_text("no picture")
    shutil.copy(place / "10.png", place / "90.png")
    code, _, err = run("data", "pictures.yaml", "-q")
    assert code == 0
    for said in ("5 samples of `train` cannot", "00.png` is not", "01.png", "02.png", "and 2 more: see the page"):
        assert said in err
    assert "03.png" not in err and "1 sample of `train` is equal to another one" in err
    assert "90.png` equals `pictures/train/кошка/10.png`" in err


def test_all_files_that_are_left_out_are_named(run, tmp_path):
    for i in range(5):
        (tmp_path / f"pictures/train/кошка/{i:02}.png").write_text("no picture")
    found = survey(run, "pictures.yaml", "data.source.unreadable=skip")
    assert found["notes"][0].endswith(" and 2 more; `dlrun data` names all of them.")
    assert [text.split("`")[1][-6:] for text in found["splits"][0]["left_out"]] == [f"{i:02}.png" for i in range(5)]
    assert "04.png`: it has no known image format" in Path(found["page"]).read_text(encoding="utf-8")
    _, out, _ = run("data", "pictures.yaml", "-q", "data.source.unreadable=skip")
    assert "nothing else was found" in out


def test_classes_that_look_alike_are_told(run, tmp_path):
    rows = [f"{i},{('New York', 'new  york', 'Rom')[i % 3]}" for i in range(40)]
    (tmp_path / "train.csv").write_text("\n".join(["a,left", *rows]) + "\n")
    (tmp_path / "table.yaml").write_text(TABLE)
    found = survey(run, "table.yaml", "data.batch_size=8")
    assert found["problems"] == ["the classes `New York`, `new  york` differ only in case or blanks."]


def test_a_column_of_one_value_is_told_unless_values_are_missing(run, tmp_path):
    rows = ["a,b,c,d,left"]
    rows += [f"1,{'' if i % 2 else 1},X,{'' if i % 2 else 'X'},{'no' if i % 3 else 'yes'}" for i in range(12)]
    (tmp_path / "train.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "table.yaml").write_text(TABLE)
    problems = survey(run, "table.yaml", "data.batch_size=4")["problems"]
    assert "`a`, `c` have the same value in all training samples." in problems
