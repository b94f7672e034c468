"""Words of the command line that say nothing, say it twice, or name what no file system has."""

from __future__ import annotations

import json

import pytest

from dlrun.cli.arguments import split_words, take, with_recipe
from dlrun.errors import DlrunError

LONG = "x" * 300
RECIPE = "data: {source: digits}\nmodel: {layers: [flatten, dense]}\n"


@pytest.fixture
def run(tmp_path, monkeypatch, in_process):
    """Runs a command in this process and an empty folder: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return in_process


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["train", "--resume", ""], "empty-value", "`--resume`"),
        (["train", "resume="], "empty-value", "`resume=`"),
        (["train", "--resume", "a", "resume=b"], "contradiction", "`resume=b`"),
        (["train", "resume=a", "resume=b"], "contradiction", "`resume=a`"),
        (["eval", "x", "split="], "empty-value", "`split=`"),
        (["eval", "x", "split=test", "split=train"], "contradiction", "`split`"),
        (["export", "x", "format=onnx", "out="], "empty-value", "`out=`"),
        (["export", "x", "format="], "empty-value", "`format=`"),
        (["predict", "x", "y.png", "output="], "empty-value", "`output=`"),
        (["predict", "x", "y.png", "--out", ""], "empty-value", "`--out`"),
        (["predict", "x", "y.png", "--out", "a.csv", "output=b.csv"], "contradiction", "`output=b.csv`"),
        (["recipes", "--config-dir", "nope"], "no-config-dir", "`nope`"),
        (["recipes", "--config-dir", ""], "no-config-dir", "not a folder"),
        (["check", "digits", "--config-dir", ""], "no-config-dir", "not a folder"),
        (["new", "a", "--config-dir", "nope"], "no-config-dir", "`nope`"),
        (["check", LONG], "unknown-recipe", LONG),
        (["check", f"{LONG}/{LONG}"], "unknown-recipe", LONG),
        (["eval", LONG], "not-a-run", LONG),
        (["predict", LONG, "a.png"], "not-a-run", LONG),
        (["predict", "x", LONG, "--out", "a.csv"], "no-input", LONG),
        (["train", f"resume={LONG}"], "not-a-run", LONG),
        (["check", "digits", f"--config-dir={LONG}"], "no-config-dir", LONG),
        (["new", "a", "--from", LONG], "unknown-recipe", LONG),
        (["new", LONG], "bad-name", LONG),
        (["check", "recipe=~nobody-has-this-name/x.yaml"], "unknown-recipe", "~nobody"),
    ],
)
def test_a_word_that_cannot_be_meant(run, words, code, told):
    number, out, err = run(*words)
    assert (number, out) == (2, "") and err.startswith(f"{code}: ") and told in err.replace("\n", "")


def test_new_from_a_file_that_is_not_text(run, tmp_path):
    (tmp_path / "latin.yaml").write_bytes("# größe\n".encode("latin-1"))
    code, _, err = run("new", "a", "--from", "latin.yaml")
    assert code == 2 and "not UTF-8" in err and "latin.yaml" in err


def test_the_same_word_twice_is_no_contradiction():
    assert take(["split=a", "x=1", "split=a"], "split") == ("a", ["x=1"])
    with pytest.raises(DlrunError, match="both set"):
        take(["split=a", "split=b"], "split")


def test_what_exists_is_no_override(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "outputs" / "lr=0.1"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(RECIPE)
    assert split_words(["outputs/lr=0.1", "seed=1", "outputs/lr=0.2"]) == (
        ["outputs/lr=0.1"],
        ["seed=1", "outputs/lr=0.2"],
    )
    assert with_recipe(["outputs/lr=0.1", "seed=1"]) == ["recipe=outputs/lr=0.1/recipe.yaml", "seed=1"]


def test_a_run_whose_name_has_an_equals_sign(dlrun, tmp_path):
    words = ["digits", "train.epochs=1", "train.limit_batches=1", "output.name='lr=0.1'", "tracker=none"]
    done = dlrun("train", *words, "optimizer=sgd")
    assert done.code == 0 and "outputs/digits/lr=0.1" in done.out
    assert done.err.count("note:") == 1, done.err  # what `optimizer=sgd` drops, once
    assert dlrun("eval", "outputs/digits/lr=0.1").code == 0
    assert dlrun("show", "outputs/digits/lr=0.1").code == 0
    assert dlrun("train", "resume=outputs/digits/lr=0.1", "train.epochs=2").code == 0


def test_a_recipe_with_a_name_beyond_ascii(run, tmp_path):
    code, _, err = run("new", "größe-é")
    assert code == 0 and "dlrun check größe-é" in err
    assert run("check", "größe-é")[0] == 0
    code, _, err = run("show", "größe-é")
    assert code == 0 and "--from 'größe-é'" in err


@pytest.mark.parametrize(
    ("place", "words", "source"),
    [
        ("x.txt", ["./x.txt"], "x.txt"),
        ("lab/q.yaml", ["./lab/q.yaml", "name=other"], "lab/q.yaml"),
        ("a run/recipe.yaml", ["a run"], "'a run/recipe.yaml'"),
        ("recipes/mine.yaml", ["mine", "name=other"], "mine"),
    ],
)
def test_show_names_a_source_that_new_finds(run, tmp_path, place, words, source):
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text(RECIPE)
    code, _, err = run("show", *words)
    assert code == 0 and f"dlrun new my_recipe --from {source}" in err
    assert run("new", "my_recipe", "--from", source.strip("'"))[0] == 0


def test_a_folder_of_no_images_names_the_endings_that_are_read(run, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.gif").write_bytes(b"GIF89a")
    code, _, err = run("predict", "somewhere", "photos", "--out", "p.csv")
    assert code == 2 and ".webp" in err and ".gif" not in err


def test_a_dry_run_of_a_choice_is_short(run):
    code, out, _ = run("check", "digits", "train=default", "data.validation=0", "--smoke", "--json")
    assert code == 0 and json.loads(out)["recipes"][0]["total_steps"] == 8
