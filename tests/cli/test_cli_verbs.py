"""Verbs that only look: what they print, as text and as JSON, and what they import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

RECIPE = """\
# dlrun train recipe=tiny
# A tiny network.
task: image_classification
data: {source: digits, batch_size: 50, validation: 97}
model:
  layers:
    - flatten
    - dense: {units: 16, activation: relu}
    - dense
train: {epochs: 2}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a recipe of the user's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "tiny.yaml").write_text(RECIPE)
    return tmp_path


@pytest.fixture
def run(folder, in_process):
    """Runs a command in this process: exit code, standard output, standard error."""
    return in_process


@pytest.mark.parametrize("words", ["--help", "recipes", "check tiny", "show tiny", "schema", "check tiny --json"])
def test_no_framework_is_loaded(folder, words):
    code = (
        "import sys\nfrom dlrun.cli.app import run\n"
        f"code = run({words.split()!r})\n"
        "assert code == 0, code\n"
        "assert not {'torch', 'tensorflow', 'keras'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr


def test_check_draws_the_layers(run):
    code, out, err = run("check", "tiny")
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert ["flatten_1", "flatten", "(N,", "64)"] in lines
    # 64 * 16 + 16 weights; 2 * 64 * 16 multiply-adds and 16 biases, and 16 for relu
    dense = next(line for line in lines if line[:1] == ["dense_1"])
    assert dense[:5] == ["dense_1", "dense", "+", "relu", "(N,"] and "1,040" in dense
    assert next(line for line in lines if line[:1] == ["total"])[3] == "1,210"
    assert "1,403 train, 97 validation, 297 test" in out
    assert "29 per epoch of 50 samples, 58 in 2 epochs" in out
    assert "adam (learning_rate" in out
    assert "dlrun train recipe=tiny --smoke" in err


def test_check_as_json(run):
    code, out, err = run("check", "tiny", "train.epochs=3", "--json")
    (recipe,) = json.loads(out)["recipes"]
    assert (code, err) == (0, "")
    assert [layer["name"] for layer in recipe["layers"]] == ["flatten_1", "dense_1", "dense_2"]
    assert [layer["activation"] for layer in recipe["layers"]] == [None, "relu", None]
    assert sum(layer["parameters"] for layer in recipe["layers"]) == recipe["parameters"] == 1210
    assert sum(layer["flops"] for layer in recipe["layers"]) == recipe["flops"]
    assert (recipe["steps_per_epoch"], recipe["total_steps"]) == (29, 87)
    assert recipe["data"]["classes"] == 10 and recipe["optimizer"]["name"] == "adam"


FROZEN = """\
task: classification
data: {source: digits}
model:
  freeze: ["half.kernel"]
  layers:
    - flatten
    - dense: {units: 64, activation: relu, name: first, trainable: false}
    - dense: {units: 64, name: left}
    - dense: {units: 64, name: again, share: left}
    - dense: {units: 4, name: half}
    - batch_norm
    - add: {inputs: [first, first]}
    - concat: {inputs: [add_1, batch_norm_1]}
    - dense
"""


def test_check_marks_frozen_and_shared_parameters(run, folder):
    (folder / "frozen.yaml").write_text(FROZEN)
    code, out, _ = run("check", "frozen.yaml")
    assert code == 0
    rows = {line.split()[0]: " ".join(line.split()) for line in out.splitlines() if line.strip()}
    assert "(N, 64) 4,160 frozen 8,320" in rows["first"]
    assert "(N, 64) 4,160 8,256" in rows["left"] and "(N, 64) 4,160 shared 8,256" in rows["again"]
    assert "(N, 4) 4 + 256 frozen " in rows["half"]
    assert "(N, 4) 8 " in rows["batch_norm_1"]  # its running statistics are no parameters
    assert rows["parameters"] == "parameters 4,862 trained + 4,416 frozen"
    assert "9,278" in rows["total"]
    code, out, _ = run("check", "frozen.yaml", "--json")
    (recipe,) = json.loads(out)["recipes"]
    assert (recipe["parameters"], recipe["frozen"]) == (4862, 4416)
    layers = {layer["name"]: layer for layer in recipe["layers"]}
    assert (layers["first"]["parameters"], layers["first"]["frozen"], layers["first"]["shares"]) == (0, 4160, None)
    assert (layers["again"]["parameters"], layers["again"]["shared"], layers["again"]["shares"]) == (0, 4160, "left")


def test_check_several_reports_every_mistake_of_each(run, folder):
    (folder / "bad.yaml").write_text(RECIPE.replace("units: 16", "units: -1"))
    (folder / "worse.yaml").write_text(RECIPE.replace("flatten", "flaten"))
    code, out, err = run("check", "tiny", "./bad.yaml", "worse.yaml")
    assert code == 2
    assert "tiny" in out and "bad.yaml:8" in err and "worse.yaml:7" in err and "`flatten`" in err


def test_check_quotes_the_line_with_a_caret(run, folder):
    (folder / "bad.yaml").write_text(RECIPE.replace("epochs", "epoks"))
    code, _, err = run("check", "bad.yaml")
    assert code == 2
    excerpt = next(line for line in err.splitlines() if "10 | train: {epoks: 2}" in line)
    caret = err.splitlines()[err.splitlines().index(excerpt) + 1]
    assert caret.index("^") == excerpt.index("epoks")


def test_show_says_where_each_value_came_from(run):
    code, out, _ = run("show", "tiny", "train.epochs=7")
    assert code == 0
    remarks = {line.split("  # ")[0].strip(): line.split("  # ")[1] for line in out.splitlines() if "  # " in line}
    assert remarks["epochs: 7"] == "command line `train.epochs=7`"
    assert remarks["- flatten"] == "recipes/tiny.yaml:7"
    assert remarks["batch_size: 50"] == "recipes/tiny.yaml:4"
    assert remarks["prefetch: 4"] == "default"


def test_what_show_prints_is_the_same_recipe(run, folder):
    _, out, _ = run("show", "tiny", "optimizer=sgd")
    (folder / "again.yaml").write_text(out)
    _, first, _ = run("show", "tiny", "optimizer=sgd", "--json")
    _, again, _ = run("show", "again.yaml", "--json")
    assert json.loads(again)["values"] == json.loads(first)["values"]
    assert json.loads(first)["values"]["optimizer"]["name"] == "sgd"


def test_recipes_lists_the_users_own_first_and_describes_them(run):
    code, out, err = run("recipes", "--json")
    listed = json.loads(out)["recipes"]
    tiny = next(r for r in listed if r["name"] == "tiny")
    assert code == 0 and err == ""
    assert tiny == {
        "name": "tiny",
        "task": "image_classification",
        "description": "A tiny network.",
        "path": "recipes/tiny.yaml",
    }
    assert {"digits", "mnist"} <= {r["name"] for r in listed}
    _, out, err = run("recipes")
    assert "A tiny network." in out and "dlrun train" in err


def test_recipes_tells_the_task_that_a_recipe_inherits(run, folder):
    """Through two of them, of the last in the list; a mistake in one costs no other its line."""
    of_numbers = RECIPE.replace("task: image_classification", "task: regression")
    texts = {
        "grown": "defaults: [tiny]\nseed: 3\n",
        "numbers": of_numbers,
        "third": "defaults: [numbers, grown]\n",
        "round": "defaults: [round]\n",
        "broken": "defaults: [tiny\n",
        "odd": "defaults: 3\n",
    }
    assert of_numbers != RECIPE
    for name, text in texts.items():
        (folder / "recipes" / f"{name}.yaml").write_text(text)
    code, out, _ = run("recipes", "--json")
    tasks = {r["name"]: r["task"] for r in json.loads(out)["recipes"]}
    assert code == 0
    assert [tasks[name] for name in ("grown", "third")] == ["image_classification"] * 2
    assert [tasks[name] for name in ("numbers", "round", "broken", "odd")] == ["regression", None, None, None]


def test_new_copies_the_comments_and_is_trainable(run, folder):
    code, out, err = run("new", "mine", "--from", "tiny")
    text = (folder / "recipes" / "mine.yaml").read_text()
    assert code == 0 and "recipes/mine.yaml" in out and "dlrun train mine" in err
    assert text == RECIPE.replace("recipe=tiny", "recipe=mine")
    assert run("check", "mine")[0] == 0


def test_new_still_knows_its_schema(run, folder):
    for out in ("recipes", "elsewhere/deep"):
        assert run("new", "own", "--from", "digits", "--out", out)[0] == 0
        first = (folder / out / "own.yaml").read_text().splitlines()[0]
        schema = Path(out) / first.removeprefix("# yaml-language-server: $schema=")
        assert "optimizer" in json.loads(schema.read_text())["properties"]


def test_new_does_not_overwrite(run, folder):
    before = (folder / "recipes" / "tiny.yaml").read_text()
    code, _, err = run("new", "tiny", "--from", "digits")
    assert code == 2 and err.startswith("file-exists: ") and "--force" in err
    assert (folder / "recipes" / "tiny.yaml").read_text() == before
    assert run("new", "tiny", "--from", "digits", "--force")[0] == 0
    assert (folder / "recipes" / "tiny.yaml").read_text() != before


def test_new_elsewhere_and_from_a_file(run, folder):
    code, out, _ = run("new", "b", "--from", "recipes/tiny.yaml", "--out", "lab", "--json")
    assert code == 0 and json.loads(out)["file"] == "lab/b.yaml"
    assert run("check", "lab/b.yaml")[0] == 0


def test_new_from_an_unknown_recipe(run):
    code, _, err = run("new", "b", "--from", "tyni")
    assert code == 2 and err.startswith("unknown-recipe: ") and "`tiny`" in err


def test_new_cannot_write(run, folder):
    (folder / "file").write_text("")
    code, _, err = run("new", "b", "--from", "tiny", "--out", "file/below")
    assert code == 1 and err.startswith("cannot-write: ")


def test_schema_is_the_schema_of_recipes(run, folder):
    jsonschema = pytest.importorskip("jsonschema")
    code, out, _ = run("schema")
    schema = json.loads(out)
    assert code == 0
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(RECIPE), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**yaml.safe_load(RECIPE), "trian": {}}, schema)
    assert run("schema", "--out", "s.json")[0] == 0
    assert json.loads((folder / "s.json").read_text()) == schema


def test_doctor_reports_backends_data_and_disk(dlrun, tmp_path):
    done = dlrun("doctor", "--json", env={"DLRUN_DATA": str(tmp_path / "nowhere")})
    report = done.json
    assert done.code == 0
    assert {b["name"] for b in report["backends"]} == {"torch", "tensorflow"}
    for backend in report["backends"]:
        if backend["version"]:
            assert "cpu" in backend["devices"], backend
        else:
            assert "pip install" in backend["problem"]
    assert not report["data"]["found"] and "nowhere" in report["data"]["says"]
    assert report["outputs"]["writable"] and report["disk"]["free_gb"] > 0
    assert Path(report["outputs"]["folder"]).parent == tmp_path.resolve()


def test_doctor_names_the_line_that_installs_what_is_missing(run, monkeypatch):
    from dlrun import backends

    monkeypatch.setattr(backends, "installed", lambda name: False)
    code, out, err = run("doctor")
    assert code == 0
    assert "pip install 'dlrun[torch]'" in out and "pip install 'dlrun[torch]'" in err
    assert "no backend works here" in err
