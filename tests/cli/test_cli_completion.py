"""Tab completion: candidates, and the bash function that asks for them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dlrun.cli.complete import candidates


@pytest.mark.parametrize(
    ("words", "some", "none"),
    [
        ([""], ["train", "eval", "completion", "--version"], ["mnist"]),
        (["tr"], ["train"], ["eval"]),
        (["train", "--mu"], ["--multirun"], ["--quiet"]),
        (["train", "mni"], ["mnist"], ["train"]),
        (["check", "mnist", "dig"], [], ["digits"]),
        (["train", "opt"], ["optimizer="], []),
        (["train", "optimizer=a"], ["optimizer=adam", "optimizer=adamw"], ["optimizer=sgd"]),
        (["train", "recipe=d"], ["recipe=digits"], ["recipe=mnist"]),
        (["train", "recipe=digits", "train.ep"], ["train.epochs="], []),
        (["train", "res"], ["resume="], []),
        (["eval", "outputs/x", "split=v"], ["split=validation"], ["split=test"]),
        (["eval", "outputs/x", "spl"], ["split="], ["split=test"]),
        (["export", "outputs/x", "format=t"], ["format=torch_export"], ["format=onnx"]),
        (["new", "x", "--from", "dig"], ["digits"], ["mnist"]),
        (["completion", ""], ["bash", "zsh", "fish"], []),
        (["predict", ""], [], ["recipe="]),
        (["train", "./re"], [], ["recipe="]),
    ],
)
def test_candidates(words, some, none):
    found = candidates(words)
    assert set(some) <= set(found), found
    assert not set(none) & set(found), found
    assert all(c.startswith(words[-1]) for c in found)


def test_no_framework_is_loaded_for_candidates():
    code = (
        "import sys\nfrom dlrun.cli.complete import candidates\nassert candidates(['train', 'backend=t'])\n"
        "assert not {'torch', 'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def press_tab(tmp_path):
    """What bash offers for a line, by running our function as bash would."""
    (tmp_path / "dlrun").write_text(f'#!/bin/sh\nexec {sys.executable} -m dlrun "$@"\n')
    (tmp_path / "dlrun").chmod(0o755)
    script = subprocess.run(
        [tmp_path / "dlrun", "completion", "bash"], capture_output=True, text=True, check=True
    ).stdout

    def press(line: str) -> list[str]:
        # compopt only works while bash itself completes
        code = (
            f"compopt() {{ :; }}\n{script}\nCOMP_LINE={line!r} COMP_POINT={len(line)}\n_dlrun\n"
            'printf "%s\\n" "${COMPREPLY[@]}"'
        )
        env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, env=env, check=True)
        return done.stdout.split()

    return press


def test_bash_completes_behind_the_equals_sign(press_tab):
    assert press_tab("dlrun tra") == ["train"]
    # `=` breaks the word, so bash replaces only what stands behind it
    assert press_tab("dlrun train recipe=dig") == ["digits"]
    assert set(press_tab("dlrun train -m optimizer=a")) == {
        "adadelta",
        "adafactor",
        "adagrad",
        "adam",
        "adamax",
        "adamw",
    }
    assert press_tab("dlrun train train.epo") == ["train.epochs="]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_are_valid(shell, capsys):
    from dlrun.cli import app

    assert app.run(["completion", shell]) == 0
    script = capsys.readouterr().out
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n"], input=script, text=True, check=True)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_install_writes_once_where_the_shell_looks(shell, capsys, monkeypatch, tmp_path):
    from dlrun.cli import app

    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert app.run(["completion", shell, "--install"]) == 0
    before = {p: p.read_text() for p in tmp_path.rglob("*") if p.is_file()}
    assert any("__complete" in text for text in before.values())
    assert app.run(["completion", shell, "--install"]) == 0
    assert {p: p.read_text() for p in tmp_path.rglob("*") if p.is_file()} == before
