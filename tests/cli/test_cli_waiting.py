"""Long waits for data: a bar on a terminal, a line elsewhere, nothing for programs."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from dlrun.cli import render
from dlrun.cli.progress import Bar, watch
from dlrun.data.waiting import waiting
from dlrun.run.events import RunStarted

TABLE = """\
task: classification
data:
  files: [{url: "file://FOLDER/numbers.npz", to: fetched.npz}]
  source: {name: npz, train: fetched.npz}
  batch_size: 5
model: {layers: [dense]}
"""
PICTURES = """\
data:
  source: {name: image_folder, size: 8, test: null, unreadable: skip}
  batch_size: 5
model: {layers: [flatten, dense]}
"""


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal shows of standard error."""
    text = io.StringIO()
    monkeypatch.setattr(
        render, "stderr", lambda: Console(file=text, force_terminal=True, width=120, legacy_windows=False)
    )
    return text


@pytest.fixture
def run(tmp_path, monkeypatch, in_process):
    """Checks a recipe whose data was not there before."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    np.savez("numbers.npz", x=np.ones((1000, 8)), y=np.arange(1000) % 2)
    (tmp_path / "table.yaml").write_text(TABLE.replace("FOLDER", str(tmp_path)))
    for i in range(6):
        folder = tmp_path / "train" / "ab"[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(folder / f"{i}.png")
    (tmp_path / "pictures.yaml").write_text(PICTURES)
    return lambda name, *words: in_process("check", f"{name}.yaml", "data.root=.", *words)


def test_a_terminal_has_a_bar(run, terminal):
    assert run("table")[0] == 0
    assert "fetching numbers.npz" in terminal.getvalue() and "72.5 kB/72.5 kB" in terminal.getvalue()
    assert run("pictures")[0] == 0
    assert "decoding the images of train" in terminal.getvalue() and "6/6" in terminal.getvalue()


@pytest.mark.parametrize(("name", "said"), [("table", "fetching numbers.npz"), ("pictures", "decoding the images of")])
def test_elsewhere_there_is_one_line_and_for_programs_none(run, name, said):
    _, _, err = run(name)
    assert err.count(said) == 1 and "\x1b" not in err
    assert said not in run(name)[2], "the second time there is nothing to wait for"


def test_programs_hear_nothing(run):
    code, _, err = run("table", "--json")
    assert (code, err) == (0, "")


def test_a_training_shows_waits_in_its_own_bar(terminal):
    with watch() as listener:
        assert isinstance(listener, Bar)
        with waiting("fetching before", in_bytes=True) as tell:
            tell(5, None)
        listener(RunStarted("d", "digits", "torch", "cpu", 1, 1, 0, 1, 1, 0))
        with waiting("fetching later", in_bytes=True) as tell:
            tell(5, 10)
    assert "fetching before" in terminal.getvalue() and "fetching later" in terminal.getvalue()
