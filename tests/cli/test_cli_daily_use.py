"""What one command suggests works as the next one, and a sweep over seeds says how far its runs scatter."""

from __future__ import annotations

import json
import re
import shlex
import statistics
from pathlib import Path

import pytest

from dlrun.backends import installed
from dlrun.cli import multirun

TINY = """\
# dlrun train recipe=tiny
task: image_classification
data: {source: digits, batch_size: 50, validation: 97}
model: {layers: [flatten, dense]}
backend: torch
train: {epochs: 1}
"""
FAST = ("device.threads=1", "tracker=none", "--smoke")
needs_torch = pytest.mark.skipif(not installed("torch"), reason="torch is not installed")


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A working folder with a folder of one's own recipes, whose name needs quotes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "my lab").mkdir()
    (tmp_path / "my lab" / "tiny.yaml").write_text(TINY)
    return tmp_path


@pytest.fixture
def run(lab, in_process):
    """Runs a command in this process: exit code, standard output, standard error."""
    return in_process


def suggested(err: str) -> list[list[str]]:
    """The words of each suggested command."""
    return [shlex.split(line, comments=True)[1:] for line in err.splitlines() if line.startswith("  dlrun ")]


@pytest.mark.parametrize("verb", ["check", "show", "recipes"])
def test_suggestions_name_the_folder_of_recipes(run, verb):
    words = [verb] if verb == "recipes" else [verb, "tiny"]
    code, _, err = run(*words, "--config-dir", "my lab")
    assert code == 0 and len(suggested(err)) == 3
    assert all(words[-2:] == ["--config-dir", "my lab"] or "--smoke" in words for words in suggested(err))
    for words in suggested(err):
        assert words[words.index("--config-dir") + 1] == "my lab"
        if words[0] in ("check", "show", "new"):
            assert run(*words)[0] == 0


def test_new_from_a_folder_of_recipes_suggests_it(run):
    _, _, err = run("new", "mine", "--from", "tiny", "--config-dir", "my lab")
    assert all("--config-dir" in words for words in suggested(err))


@needs_torch
def test_training_and_sweeps_suggest_the_folder_of_recipes(run, lab):
    code, out, err = run("train", "tiny", *FAST, "--config-dir", "my lab")
    (again,) = [words for words in suggested(err) if words[0] == "train"]
    assert code == 0 and again[-2:] == ["--config-dir", "my lab"]
    code, out, err = run("train", "-m", "tiny", *FAST, "seed=1,2", "--config-dir", "my lab", "--json")
    alone = [shlex.split(line.split(": dlrun ")[1]) for line in err.splitlines() if line.startswith("job ")]
    assert code == 0 and [w[0] for w in alone] == ["train"] * 2
    assert all("--smoke" in words and words[words.index("--config-dir") + 1] == "my lab" for words in alone)
    assert all("seed=" in " ".join(words) and "--json" not in words for words in alone)


@needs_torch
def test_a_sweep_over_seeds_tells_mean_and_spread(run, lab):
    words = ("tiny", *FAST, "seed=1,2,3", "train.epochs=1,2", "--config-dir", "my lab")
    code, out, _ = run("train", "-m", *words, "--json")
    sweep = json.loads(out)
    assert code == 0 and sweep["flags"] == ["--config-dir", "my lab", "--smoke"]
    assert [sorted(group["seeds"]) for group in sweep["over_seed"]] == [["1", "2", "3"]] * 2
    for group in sweep["over_seed"]:
        same = [j for j in sweep["jobs"] if set(group["overrides"]) < set(j["overrides"])]
        values = [j["metrics"]["val_accuracy"] for j in same]
        assert len(same) == 3 and not any(o.startswith("seed=") for o in group["overrides"])
        found = group["metrics"]["val_accuracy"]
        assert found["mean"] == pytest.approx(statistics.mean(values))
        assert found["std"] == pytest.approx(statistics.stdev(values))
    (kept,) = lab.rglob("sweep.json")
    assert json.loads(kept.read_text())["over_seed"] == sweep["over_seed"]


def job(number: int, *overrides: str, loss: float | None, code: int = 0) -> dict[str, object]:
    """A job that has ended."""
    return {
        "job": number,
        "overrides": list(overrides),
        "exit_code": code,
        "directory": None,
        "metrics": {} if loss is None else {"train_loss": loss, "seconds": 3.0},
        "monitor": None,
    }


def test_only_jobs_that_differ_in_their_seed_are_summed_up():
    jobs = [
        job(0, "lr=1", "seed=1", loss=1.0),
        job(1, "lr=1", "seed=2", loss=3.0),
        job(2, "lr=1", "seed=3", loss=None, code=1),
        job(3, "lr=2", "seed=1", loss=5.0),
        job(4, "lr=3", loss=5.0),
        job(5, "lr=3", loss=6.0),
    ]
    (group,) = multirun.over_seed(jobs)
    assert group == {
        "overrides": ["lr=1"],
        "seeds": ["1", "2"],
        "metrics": {"train_loss": {"mean": 2.0, "std": pytest.approx(2**0.5)}},
    }


def test_a_metric_that_is_not_finite_has_no_mean():
    jobs = [job(0, "seed=1", loss=1.0), job(1, "seed=2", loss=float("inf"))]
    assert multirun.over_seed(jobs) == [{"overrides": [], "seeds": ["1", "2"], "metrics": {}}]


def test_mean_and_spread_are_drawn(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    jobs = [{**job(i, "a=1", f"seed={i}", loss=float(i)), "folder": str(tmp_path / "s")} for i in (1, 2, 3)]
    multirun._report(jobs, ["a=1", "seed=1,2,3"], [], False)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "over seed train_loss" in lines and "3 seeds 2.0000 ± 1.0000" in lines


@pytest.mark.parametrize("verb", ["check", "train"])
def test_a_root_that_is_not_there_is_a_mistake_even_if_the_data_is_elsewhere(run, lab, monkeypatch, verb):
    monkeypatch.setenv("DLRUN_DATA", str(lab))
    words = ("tiny", "--config-dir", "my lab", "data.root=/nowhere/at all", "data.download=false")
    code, _, err = run(verb, *words)
    assert code == 2 and err.startswith("missing-data: ") and "`/nowhere/at all`" in err
    assert "data.root=/nowhere" in err and "mkdir -p '/nowhere/at all'" in err
    assert not list(lab.glob("outputs/*/*"))


@needs_torch
def test_a_run_whose_root_has_gone_is_still_continued(run, lab):
    (lab / "files").mkdir()
    code, out, _ = run("train", "tiny", *FAST, "--config-dir", "my lab", "data.root=files", "--json")
    assert code == 0
    (lab / "files").rmdir()
    directory = json.loads(out)["directory"]
    assert run("train", f"resume={directory}", "train.epochs=2", "--json")[0] == 0
    code, _, err = run("train", f"resume={directory}", "train.epochs=3", "data.root=/nowhere")
    assert code == 2 and err.startswith("missing-data: ")


@needs_torch
def test_new_from_a_run(run, lab):
    _, out, _ = run("train", "tiny", *FAST, "--config-dir", "my lab", "--json")
    directory = json.loads(out)["directory"]
    code, out, err = run("new", "mine", "--from", directory)
    assert code == 0, err
    assert re.search(r"^name: mine$", Path("recipes/mine.yaml").read_text(), re.MULTILINE)
    assert run("check", "mine")[0] == 0


def test_a_path_beside_the_recipe_is_told_where_it_is(run):
    assert run("new", "mine", "--from", "digits")[0] == 0
    code, _, err = run("check", "./mine.yaml")
    assert code == 2 and err.startswith("unknown-recipe: ") and "Did you mean `recipes/mine.yaml`?" in err
    assert "Check the path." in run("check", "./nothing.yaml")[2]


def test_the_list_of_recipes_fits_a_page_in_a_pipe(run, lab):
    _, out, _ = run("recipes")
    lines = out.splitlines()
    assert all(line == line.rstrip() for line in lines)
    paths = [line.split()[-1] for line in lines if line.endswith(".yaml")]
    assert paths and max(len(line.replace(max(paths, key=len), "")) for line in lines) <= 160
