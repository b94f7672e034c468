"""``dlrun compare``: what it prints and keeps, its exit codes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dlrun.cli.complete import candidates

RECIPE = """\
task: classification
data: {source: {name: random, shape: [5], classes: 3, samples: 60}, batch_size: 20}
model: {layers: [{dense: {units: 4, activation: relu, name: hidden}}, dense]}
optimizer: sgd
train: {epochs: 2}
tracker: none
"""


@pytest.fixture
def run(tmp_path, monkeypatch, in_process):
    """Runs a command in this process, in a folder with a recipe `tiny`: exit code, standard output and error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "tiny.yaml").write_text(RECIPE)
    return in_process


@pytest.fixture
def both_installed():
    pytest.importorskip("torch")
    pytest.importorskip("tensorflow")


def test_a_recipe_on_both_backends(run, both_installed):
    code, out, err = run("compare", "tiny", "--dtype", "float64", "--steps", "3", "--seeds", "1")
    assert code == 0, err
    lines = [line.split() for line in out.splitlines()]
    check = next(line for line in lines if line[:2] == ["float64", "3"])
    assert check[-1] == "pass" and float(check[2]) <= 1e-12 and float(check[3]) == 1e-12
    assert [line[0] for line in lines if line[1:2] == ["dense"]] == ["hidden", "dense_1"]
    assert {"torch", "tensorflow"} <= {line[0] for line in lines if line}
    assert "torch float64 noise" in err and "dlrun train recipe=tiny" in err
    folder = Path(out.splitlines()[-1].removeprefix("pass: "))
    assert folder.parent == Path("outputs/compare/tiny")
    assert {p.name for p in folder.iterdir()} == {"report.json", "report.html", "curves.svg", "recipe.yaml"}
    report = json.loads((folder / "report.json").read_text())
    assert report["verdict"] == "pass" and report["sides"] == ["torch", "tensorflow"]
    (precision,) = report["precisions"]
    assert precision["same_start"] and len(precision["updates"]) == 3 and precision["cause"] is None
    assert set(precision["updates"][0]["gradients"]) == {"hidden", "dense_1"}
    for speed in report["speed"]:
        assert speed["ms_per_step"] > 0 and speed["peak_memory"] > speed["memory_before"] > 0
    page = (folder / "report.html").read_text()
    assert '<span class="pass">' in page and "<svg" in page and "hidden" in page


def test_a_broken_promise_is_exit_code_1(run, both_installed, monkeypatch):
    from dlrun.compare import promise

    monkeypatch.setattr(promise, "LIMITS", {"float64": ((20, 0.0),)})  # then rounding alone breaks it
    words = ("compare", "tiny", "--dtype", "float64", "--steps", "6", "--seeds", "0", "--no-speed")
    code, out, err = run(*words, "--json")
    report = json.loads(out)
    assert (code, report["verdict"]) == (1, "fail")
    (precision,) = report["precisions"]
    (check,) = precision["checks"]
    assert check["verdict"] == "fail" and check["noise"] is None and check["limit"] == 0
    assert precision["cause"]["part"] == "rounding" and precision["cause"]["layer"] in ("hidden", "dense_1")
    assert check["first_past"] == precision["cause"]["step"]
    assert "noise was not measured" in report["notes"][-1] and report["speed"] == []


def test_a_bad_recipe_is_exit_code_2_and_every_mistake_is_told_once(run):
    code, out, err = run("compare", "tiny", "train.epoks=1", "data.batch_size=0")
    assert code == 2 and out == ""
    assert err.count("epoks` ") == 1 and err.count("out-of-range") == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["tiny", "backend=torch"], "contradiction", "backend=torch"),
        (["tiny", "precision=float64"], "contradiction", "--dtype"),
        (["tiny", "--dtype", "float16"], "unknown-option", "float16"),
        (["tyni"], "unknown-recipe", "tiny"),
        (["a", "b"], "not-a-run", "a"),
        (["a", "b", "train.epochs=2"], "contradiction", "train.epochs=2"),
    ],
)
def test_refusals(run, words, code, said):
    exit_code, out, err = run("compare", *words)
    assert exit_code == 2 and err.startswith(f"{code}: ") and said in err


def test_two_runs(run):
    pytest.importorskip("torch")
    for name, extra in (("a", []), ("b", []), ("c", ["optimizer.learning_rate=0.02"])):
        assert run("train", "tiny", f"output.name={name}", *extra)[0] == 0
    a, b, c = (f"outputs/tiny/{name}" for name in "abc")
    code, out, _ = run("compare", a, b)
    assert code == 0 and "weights equal to the bit" in out
    code, out, _ = run("compare", a, c, "--json")
    report = json.loads(out)
    assert code == 0 and not report["same_weights"] and report["recipe"] == {"optimizer.learning_rate": [0.01, 0.02]}
    losses = [p for p in report["points"] if p["name"] == "train_loss"]
    assert [p["step"] for p in losses] == [3, 6] and all(p["difference"] > 0 for p in losses)
    assert {layer["layer"] for layer in report["layers"]} == {"hidden", "dense_1"}
    assert all(0 < layer["difference"] < 1 for layer in report["layers"])
    assert Path(report["directory"], "report.html").is_file()
    code, out, _ = run("compare", f"{a}/checkpoints/step-00000003", f"{b}/checkpoints/step-00000006")
    assert code == 0 and "step-00000003" in out and "weights differ" in out.splitlines()


def test_two_runs_of_other_models(run):
    pytest.importorskip("torch")
    assert run("train", "tiny", "output.name=a")[0] == 0
    assert run("train", "tiny", "output.name=wide", "model.layers.hidden.units=5")[0] == 0
    code, _, err = run("compare", "outputs/tiny/a", "outputs/tiny/wide")
    assert code == 2 and err.startswith("nothing-to-compare: ")


def test_the_command_itself_loads_no_framework(run):
    import subprocess
    import sys

    code = (
        "import sys\nfrom dlrun.cli.app import run\nassert run(['compare', 'nowhere']) == 2\n"
        "import dlrun.compare.keep\n"
        "assert not {'torch', 'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_completion():
    assert {"--dtype", "--steps", "--seeds", "--no-speed", "--json"} <= set(candidates(["compare", "--"]))
    assert candidates(["compare", "digits", "--dtype", "float"]) == ["float64", "float32"]
    assert "digits" in candidates(["compare", "dig"])
    assert "optimizer=" in candidates(["compare", "digits", "opt"])
