"""The recipes for tables: they train, evaluate and predict from files, and leave the same numbers everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import dlrun
from dlrun.config import compose, dump
from dlrun.errors import DlrunError, DlrunErrors
from dlrun.export import FORMATS, export
from dlrun.run.evaluate import evaluate
from dlrun.run.train import train

BACKENDS = ("torch", "tensorflow")


@pytest.fixture(autouse=True)
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run_of(recipe: str, backend: str, *overrides: str) -> Any:
    pytest.importorskip(backend)
    return train(compose([f"recipe={recipe}", f"backend={backend}", "device.threads=2", *overrides]))


@pytest.mark.parametrize("backend", BACKENDS)
def test_tabular(backend: str, tmp_path: Path) -> None:
    result = run_of("tabular", backend, "train.epochs=6")
    assert result.metrics["test_accuracy"] > 0.75, "0.56 is the share of the larger class"
    assert evaluate(result.directory).metrics["accuracy"] == result.metrics["test_accuracy"]
    with pytest.raises(DlrunError, match="not-fitted"):
        evaluate(result.directory, overrides=["data.preprocess=[{impute: {statistic: most_frequent}}, normalize]"])
    new = tmp_path / "new.csv"
    new.write_text(
        "plan,region,calls,months,fee,age\nbasic,south,9,1,9.9,30\nfamily,west,0,90,29.9,\nvip,moon,1,9,9,50\n"
    )
    notes: list[str] = []
    answers = [p.answer.cells for p in dlrun.predict(result.directory, [new, new], notes=notes)]
    assert [a["label"] for a in answers[:2]] == ["yes", "no"] and len(answers) == 6
    few = dlrun.predict(result.directory, [new, new], ["data.eval_batch_size=2"])
    assert [(p.file, p.answer.cells["label"]) for p in few] == [
        (f"{new}[{i}]", a["label"]) for i, a in zip([0, 1, 2] * 2, answers, strict=True)
    ]
    assert notes == [
        "2 values of `plan` are not known from training and count as missing: `vip`.",
        "2 values of `region` are not known from training and count as missing: `moon`.",
    ]


@pytest.mark.parametrize("backend", BACKENDS)
def test_breast_cancer(backend: str) -> None:
    pytest.importorskip("sklearn")
    assert run_of("breast_cancer", backend).metrics["test_accuracy"] > 0.95


@pytest.mark.parametrize("backend", BACKENDS)
def test_it_exports_with_its_missing_values(backend: str) -> None:
    template = (Path(__file__).resolve().parents[2] / "recipes" / "tabular.yaml").read_text()
    line = next(line for line in template.splitlines(keepends=True) if "- column_embedding:" in line)
    both = """
    - one_hot_columns: {categories: "${data.columns}", name: hot}
    - column_embedding: {categories: "${data.columns}", name: embedded, inputs: [input]}
    - concat: {inputs: [hot, embedded]}
"""
    Path("mine.yaml").write_text(template.replace(line, both))
    result = run_of("./mine.yaml", backend, "train.epochs=1")
    for name, format in FORMATS.items():
        if backend in format.backends:
            pytest.importorskip("onnx")
            exported = export(result.directory, name)
            assert exported.checks and all(check["equal"] for check in exported.checks), name


def test_one_hot_and_numbers_alone(tmp_path: Path) -> None:
    rows = "".join(f"{i},{i % 7},{i * 2.5}\n" for i in range(40))
    (tmp_path / "a.csv").write_text("a,b,price\n" + rows)
    (tmp_path / "r.yaml").write_text(
        """
task: tabular_regression
data:
  source: {name: table, train: a.csv, target: price}
  batch_size: 8
  preprocess: [normalize]
model:
  layers:
    - one_hot_columns: {categories: "${data.columns}"}
    - dense: {units: 1}
optimizer: sgd
"""
    )
    plan = compose(["recipe=./r.yaml"]).plan
    assert plan.graph.nodes[0].layer.categories == (0, 0)
    composed = compose(["recipe=./r.yaml", "data.source.columns={b: category}"])
    assert composed.plan.graph.nodes[0].layer.categories == (0, 8)
    assert composed.plan.graph.nodes[0].output.shape == (9,)


def test_other_data_have_no_columns(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(
        """
data: {source: digits}
model:
  layers:
    - flatten
    - one_hot_columns: {categories: "${data.columns}"}
    - dense: {units: 10}
"""
    )
    with pytest.raises(DlrunErrors) as caught:
        compose(["recipe=./r.yaml"])
    (error,) = [e for e in caught.value.errors if e.code == "interpolation"]
    assert "`data.columns`, which does not exist" in error.message
    assert error.hint == "These data are no rows of a table; those of `source: table` are."


def test_a_recipe_with_every_key_reads_back_as_written(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1;x;u;0,5\n2;y;v;1,5\n")
    (tmp_path / "r.yaml").write_text(
        """
task: tabular_regression
data:
  source:
    name: table
    train: a.csv
    header: ["", b, c d, price]
    target: price
    target_type: number
    delimiter: ";"
    decimal: ","
    missing: ["-"]
    bad_rows: skip
    encoding: latin-1
    format: csv
    columns: {"": skip, b: {hash: 7}, c d: category}
  batch_size: 1
model: {layers: [dense: {units: 1}]}
optimizer: sgd
"""
    )
    once = compose(["recipe=./r.yaml"])
    (tmp_path / "again.yaml").write_text(dump(once.values))
    again = compose(["recipe=./again.yaml"])
    assert again.recipe.data.source == once.recipe.data.source
    assert [c.ids for c in once.plan.signature.columns] == [8, 3]
    assert once.plan.signature.sizes == {"train": 2}


def test_the_guide_s_example(tmp_path: Path) -> None:
    guide = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text("utf-8")
    guide = guide[guide.index("\n## Tables\n") :]
    example = guide[guide.index("```yaml\n") + 8 : guide.index("```\n\n`dlrun train recipe=tabular`")]
    rows = "".join(f"{i},{i % 9 or ''},0{i % 4},u{i % 11},{'high' if i % 3 else 'low'}\n" for i in range(200))
    for name in ("train.csv", "test.csv"):
        (tmp_path / name).write_text("id,age,zip,user,income\n" + rows)
    (tmp_path / "guide.yaml").write_text(f"{example}\noptimizer: sgd\n")
    plan = compose(["recipe=./guide.yaml"]).plan
    assert [(c.name, c.ids) for c in plan.signature.columns] == [("age", 0), ("zip", 5), ("user", 1001)]
    assert plan.signature.class_names == ("high", "low") and plan.graph.nodes[0].output.shape == (1 + 3 + 50,)


def test_rows_left_out_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,y\n1,p\n2,q\n3\n4,q\n")
    (tmp_path / "r.yaml").write_text(
        "task: tabular_classification\nmodel: {layers: [dense]}\noptimizer: sgd\n"
        "data: {batch_size: 1, source: {name: table, train: a.csv, target: y, bad_rows: skip}}\n"
    )
    assert compose(["recipe=./r.yaml"]).notes == ("`a.csv`: 1 bad row is left out; `a.csv:4`: it has 1 value, not 2.",)


@pytest.fixture(scope="module")
def run_of_semicolons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a file with semicolons, which is gone."""
    place = tmp_path_factory.mktemp("run")
    rows = "".join(f"{i / 2};{'Łódź' if i % 2 else 'Bern'};{'yes' if i % 3 else 'no'}\n" for i in range(40))
    (place / "a.csv").write_text("a;city;y\n" + rows)
    (place / "r.yaml").write_text(
        "task: tabular_classification\nmodel: {layers: [dense]}\noptimizer: sgd\ntrain: {epochs: 1}\n"
        "data: {batch_size: 8, preprocess: [normalize], source: "
        f"{{name: table, train: {place / 'a.csv'}, target: y, delimiter: ';'}}}}\n"
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(place)
        run: Path = run_of("./r.yaml", "torch").directory.absolute()
    (place / "a.csv").unlink()
    return run


def test_files_to_predict_may_be_written_in_another_way(tmp_path: Path, run_of_semicolons: Path) -> None:
    def answers(name: str, *settings: str) -> list[Any]:
        overrides = [f"data.source.{setting}" for setting in settings]
        return [p.answer for p in dlrun.predict(run_of_semicolons, [tmp_path / name], overrides=overrides)]

    (tmp_path / "same.csv").write_text("a;city\n2.5;Łódź\n")
    (tmp_path / "comma.csv").write_text("a,city\n2.5,Łódź\n")
    (tmp_path / "tab.txt").write_bytes("2,5\tŁódź\n2,5\t-\n".encode("utf-16"))
    wanted = answers("same.csv")
    assert answers("comma.csv", 'delimiter=","') == wanted
    other = ("format=tsv", "delimiter=\\t", "encoding=utf-16", 'decimal=","', "header=[a,city]", "missing=[-]")
    assert answers("tab.txt", *other)[:1] == wanted


@pytest.mark.parametrize(
    ("name", "data", "settings", "hint"),
    [
        (
            "comma.csv",
            b"a,city\n2.5,Bern\n",
            [],
            "Its one column is called `a,city`: add `'data.source.delimiter=\",\"'` to the command.",
        ),
        ("latin.csv", "a;city\n2.5;Zürich\n".encode("cp1252"), [], "add `data.source.encoding=cp1252` to the command."),
        ("wide.csv", "a;city\n2.5;Bern\n".encode("utf-16-le"), [], "add `data.source.encoding=utf-16` to the command."),
        ("marked.csv", "a;city\n2.5;Bern\n".encode("utf-16"), [], "add `data.source.encoding=utf-16` to the command."),
        ("same.txt", b"a;city\n2.5;Bern\n", [], "add `data.source.format=csv` to the command"),
        ("same.csv", b"a;city\n2.5;Bern\n", ["delimiter='::'"], "Write e.g."),
    ],
)
def test_what_helps_with_files_to_predict(
    tmp_path: Path, run_of_semicolons: Path, name: str, data: bytes, settings: list[str], hint: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DlrunError) as caught:
        dlrun.predict(
            run_of_semicolons, [tmp_path / name], overrides=[f"data.source.{setting}" for setting in settings]
        )
    assert hint in (caught.value.hint or "")
