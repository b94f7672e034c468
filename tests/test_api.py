"""dlrun from Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dlrun
from dlrun.errors import DlrunError, DlrunErrors

RECIPE = """\
task: classification
data: {source: digits, batch_size: 16, preprocess: [normalize]}
model: {layers: [flatten, {dense: {units: 8, activation: tanh}}, dense]}
train: {epochs: 5}
optimizer: {name: adam, learning_rate: 0.02}
"""
RNG = np.random.default_rng(0)
X = RNG.normal(5, 3, (300, 4)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] > 10).astype(np.int64)


@pytest.fixture(autouse=True)
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "größe 'x' cache"))
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    return tmp_path / "tiny.yaml"


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_arrays_are_trained_on_and_the_run_is_one_like_any_other(recipe: Path, backend: str) -> None:
    words = [f"backend={backend}", "tracker=none", "device.threads=1"]
    result = dlrun.train(recipe, words, data=(X[:200], Y[:200]), test=(X[200:], Y[200:]))
    assert result.reason == "finished" and result.metrics["test_accuracy"] > 0.9
    again = dlrun.evaluate(result.directory)
    assert again.metrics["accuracy"] == result.metrics["test_accuracy"] and again.samples == 100
    far = int(np.abs(X[:, 0] + X[:, 1] - 10).argmax())
    np.save("one.npy", X[far])
    (prediction,) = dlrun.predict(result.directory, ["one.npy"])
    assert prediction.answer.said["label"] == str(Y[far])


def test_the_same_arrays_are_kept_once(recipe: Path) -> None:
    from dlrun.api import _kept

    first = _kept(X, Y)
    assert _kept(X.copy(), Y) == first and _kept(X, 1 - Y) != first and _kept(X.astype(np.float64), Y) != first
    assert not [p for p in first.parent.iterdir() if p.suffix != ".npz"]


def test_mistakes_are_those_of_the_command_line(recipe: Path) -> None:
    with pytest.raises(DlrunErrors) as caught:
        dlrun.check(recipe, ["optimizer.learning_rat=1", "train.epochs=x"])
    assert {e.code for e in caught.value.errors} == {"unknown-key", "wrong-type"}
    with pytest.raises(ValueError, match="beside"):
        dlrun.train(recipe, test=(X, Y))


NAN = np.where(np.arange(1200).reshape(300, 4) == 5, np.nan, X)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"data": (X,)}, "`data` must be two arrays, samples and labels, got 1 of them. Write `data=(x, y)`."),
        ({"data": X}, "`data` must be two arrays, samples and labels, got `ndarray`."),
        ({"data": (X, Y), "test": (X, Y, Y)}, "`test` must be two arrays, samples and labels, got 3 of them."),
        ({"data": ([[1.0], [1.0, 2.0]], [0, 1])}, "`data` holds something that is no array"),
        ({"data": (X, Y[:9])}, "`data`"),
        ({"data": (X.astype(str), Y)}, "`data`"),
        ({"data": (X.astype(object), Y)}, "`data` holds Python objects"),
        ({"data": (X, Y), "test": (X[:, :2], Y)}, "`test`"),
        ({"data": (NAN, Y)}, "`data`"),
        ({"data": (X, Y), "test": (NAN, Y)}, "`test`"),
    ],
)
def test_mistakes_in_arrays_speak_of_the_arguments(recipe: Path, arrays: dict[str, Any], words: str) -> None:
    with pytest.raises(DlrunError) as caught:
        dlrun.train(recipe, ["tracker=none", "device.threads=1"], **arrays)
    said = str(caught.value)
    assert words in said and ".npz" not in said and "command line" not in said and "data.source" not in said, said


def test_checking_loads_no_framework_and_importing_loads_nothing(recipe: Path) -> None:
    text = (
        "import sys, dlrun\nassert 'numpy' not in sys.modules\n"
        "plan = dlrun.check('digits').plan\nprint(plan.graph.parameters)\n"
        "assert not {'torch', 'tensorflow', 'keras'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "38282"
