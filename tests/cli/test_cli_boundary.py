"""Errors become text on standard error and an exit code; nothing else reaches the user."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from dlrun.cli import app, show
from dlrun.errors import DlrunError, DlrunErrors, RunError, Where

BUFFERED = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
"""As users run it: what is buffered goes out last."""


@pytest.fixture
def fails(monkeypatch, capsys):
    """Runs a verb that raises; returns exit code, standard output, standard error."""

    def run(error, *words):
        def raise_it(words):
            raise error

        # `show` asks for its recipe first; any error a verb can raise comes out of the same place.
        monkeypatch.setattr(show, "with_recipe", raise_it)
        code = app.run(["show", *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_a_mistake_exits_with_2_and_says_code_message_place_and_hint(fails, tmp_path):
    file = tmp_path / "r.yaml"
    file.write_text("model:\n  layers:\n    - conv2d: {filtres: 32}\n")
    error = DlrunError(
        "unknown-key",
        "`filtres` is not a field of `conv2d`.",
        path=("model", "layers", 0, "conv2d", "filtres"),
        where=Where(str(file), 3, 16),
        hint="Did you mean `filters`?",
    )
    code, out, err = fails(error)
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert lines[0] == "unknown-key: `filtres` is not a field of `conv2d`."
    assert lines[1] == f"  at {file}:3:16  model.layers[0].conv2d.filtres"
    assert lines[2] == "  3 |     - conv2d: {filtres: 32}"
    assert lines[3].index("^") == lines[2].index("filtres")
    assert lines[4] == "  hint: Did you mean `filters`?"


def test_the_caret_stands_right_in_a_long_line_and_after_wide_characters(fails, tmp_path):
    file = tmp_path / "r.yaml"
    text = "# 数字 " + "x" * 100 + " here " + "y" * 100
    file.write_text(text)
    _, _, err = fails(DlrunError("c", "m.", where=Where(str(file), 1, text.index("here") + 1)))
    excerpt, caret = err.splitlines()[2:4]
    assert excerpt[caret.index("^") :].startswith("here")
    assert len(excerpt) < 120
    file.write_text("数字: here")
    _, _, err = fails(DlrunError("c", "m.", where=Where(str(file), 1, 5)))
    excerpt, caret = err.splitlines()[2:4]
    assert caret.index("^") == excerpt.index("here") + 2  # two characters are two cells wide


@pytest.mark.parametrize("where", [Where("gone.yaml", 3, 1), Where(override="train.epoch=3"), Where(), None])
def test_a_place_that_cannot_be_quoted_is_only_named(fails, where):
    code, _, err = fails(DlrunError("c", "m.", where=where, path=("train",)))
    assert code == 2 and "|" not in err and "train" in err


def test_several_mistakes_are_blocks_of_their_own(fails):
    code, _, err = fails(DlrunErrors([DlrunError("a", "one."), RunError("b", "two.")]))
    assert code == 2
    assert err == "a: one.\n\nb: two.\n"


def test_json_puts_the_errors_on_standard_output_too(fails):
    code, out, err = fails(DlrunErrors([DlrunError("a", "one.", path=("x", 1)), DlrunError("b", "two.")]), "--json")
    found = json.loads(out)
    assert code == 2 and "a: one." in err
    assert [(e["code"], e["path"]) for e in found["errors"]] == [("a", "x[1]"), ("b", None)]


def test_anything_unexpected_is_one_line_and_exit_1(fails):
    code, out, err = fails(ValueError("list index\nout of range"))
    assert (code, out) == (1, "")
    assert err.splitlines()[0] == "internal-error: ValueError: list index out of range"
    assert "--traceback" in err and "Traceback" not in err


def test_traceback_shows_it(fails):
    code, _, err = fails(ValueError("oops"), "--traceback")
    assert code == 1 and "Traceback (most recent call last)" in err and "raise_it" in err


def test_ctrl_c_exits_with_130(fails):
    code, _, err = fails(KeyboardInterrupt())
    assert code == 130 and "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["trian"], "unknown-verb", "`train`"),
        (["resume", "outputs/x"], "unknown-verb", "dlrun train resume=RUN"),
        (["sweep", "mnist"], "unknown-verb", "dlrun train -m"),
        (["recipe=mnist"], "unknown-verb", "dlrun train recipe=mnist"),
        (["train", "--mutlirun"], "unknown-flag", "`--multirun`"),
        (["train", "--optimizer=sgd"], "unknown-flag", "without dashes"),
        (["--jsn"], "unknown-flag", "`--json`|`--version`"),
        (["new"], "usage", "NAME"),
        (["train", "--config-dir"], "usage", "--config-dir"),
        (["train", "mnist", "digits"], "not-an-override", "`digits`"),
        (["train", "mnist", "recipe=digits"], "not-an-override", "`mnist`"),
        (["eval"], "missing-run", "dlrun train digits"),
        (["eval", "a", "b"], "not-an-override", "`b`"),
        (["predict"], "missing-run", "run directory"),
        (["predict", "outputs/x"], "no-input", "image.png"),
        (["export", "outputs/x"], "missing-format", "`onnx`"),
        (["completion", "tcsh"], "unknown-shell", "`zsh`"),
        (["new", "a/b"], "bad-name", "--out"),
        (["train", "--cfg", "jobs"], "unknown-option", "`job`"),
        (["eval", "nowhere"], "not-a-run", "`nowhere`"),
        (["train", "resume=nowhere"], "not-a-run", "`nowhere`"),
        (["train", "resume=x", "recipe=mnist"], "contradiction", "`recipe=mnist`"),
        (["train", "-m", "resume=x"], "contradiction", "`--multirun`"),
    ],
)
def test_wrong_commands(capsys, tmp_path, monkeypatch, words, code, said):
    monkeypatch.chdir(tmp_path)
    assert app.run(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"{code}: ")
    assert any(s in captured.err for s in said.split("|")), captured.err


@pytest.mark.parametrize("flags", [("--cfg", "job"), ("--info", "config")])
def test_hydras_views_have_no_json(dlrun, flags):
    done = dlrun("train", "digits", *flags, "--json")
    (error,) = done.json["errors"]
    assert done.code == 2 and error["code"] == "contradiction" and flags[0] in error["message"]
    assert "dlrun show recipe=digits --json" in error["hint"]


@pytest.mark.parametrize("words", ["schema", "completion bash", "recipes", "--help", "schema --json"])
def test_a_reader_that_goes_away_is_no_error(tmp_path, words):
    command = f"{sys.executable} -m dlrun {words} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path, env=BUFFERED)
    assert "Error" not in done.stderr and "Exception" not in done.stderr
    assert done.returncode in (0, 1, 141)


def test_what_libraries_print_does_not_reach_standard_output_under_json(tmp_path):
    code = (
        "import os, sys\nfrom dlrun.cli import app, show\n"
        "def noisy(words):\n    print('from python'); os.write(1, b'from C')\n    return ['recipe=digits']\n"
        "show.with_recipe = noisy\n"
        "code = app.run(['show', '--json'])\nprint('after')\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=BUFFERED)
    assert done.returncode == 0 and "from python" in done.stderr and "from C" in done.stderr
    assert done.stdout.endswith("}\nafter\n")  # and afterwards it is what it was
    assert json.loads(done.stdout.removesuffix("after\n"))["recipe"] == "digits"


def test_an_ascii_terminal_is_no_reason_to_fail(dlrun, tmp_path):
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "größe.yaml").write_text("# Größe\n")
    done = dlrun("recipes", env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert done.code == 0 and "Traceback" not in done.err
