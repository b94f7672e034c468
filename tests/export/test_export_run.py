"""Exporting a run: which weights, from which backend, to which place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlrun.config import compose
from dlrun.data.feed import Feed
from dlrun.data.preprocessing import apply
from dlrun.errors import DlrunError, RunError
from dlrun.export import export
from dlrun.run.evaluate import load_model
from dlrun.run.train import train


@pytest.fixture(scope="module", autouse=True)
def _frameworks() -> None:
    for name in ("torch", "tensorflow", "onnx", "onnxscript", "onnxruntime", "tf2onnx"):
        pytest.importorskip(name)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short training on torch whose moving averages are far from its weights."""
    root = tmp_path_factory.mktemp("outputs")
    words = ["recipe=digits", "backend=torch", "train.epochs=2", "train.limit_batches=6", "train.ema=0.8"]
    train(compose([*words, f"output.root={root}", "output.name=first"]))
    return root / "digits" / "first"


def _answers(path: Path, samples: np.ndarray) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["output"], {"input": samples})[0]


def test_an_artefact_answers_as_evaluation_does(run: Path) -> None:
    result = export(run, "onnx")
    assert result.path == run / "exports" / "digits.onnx"
    model = load_model(run)
    samples = Feed(model.plan).stored("test", 50)
    expected = model.engine.infer(apply(samples, model.plan.preprocessing, model.plan.array_dtype))
    np.testing.assert_allclose(_answers(result.path, samples), expected, atol=1e-4 * np.abs(expected).max())
    origin = json.loads(result.description.read_text())["origin"]
    assert origin["run"] == "first" and origin["weights"] == "moving averages"
    assert origin["checkpoint"] == model.checkpoint.name


def test_one_checkpoint_on_the_other_backend(run: Path, tmp_path: Path) -> None:
    first = sorted((run / "checkpoints").iterdir())[0]
    here, there = tmp_path / "torch", tmp_path / "tensorflow"
    here.mkdir()
    there.mkdir()
    a = export(first, "onnx", out=here)
    b = export(first, "onnx", out=there, overrides=("backend=tensorflow",))
    assert a.path == here / f"digits-{first.name}.onnx" and b.path == there / a.path.name
    assert json.loads(b.description.read_text())["backend"] == "tensorflow"
    samples = np.random.default_rng(1).random((5, 8, 8, 1)) * 16
    signature = load_model(first).plan.signature
    samples = samples.astype(signature.stored_dtype)
    np.testing.assert_allclose(_answers(a.path, samples), _answers(b.path, samples), atol=1e-5)


def test_what_cannot_be_exported(run: Path, tmp_path: Path) -> None:
    with pytest.raises(DlrunError) as caught:
        export(run, "keras")
    assert caught.value.code == "format-needs-backend"
    assert f"dlrun export {run} format=keras backend=tensorflow" in str(caught.value)
    with pytest.raises(DlrunError) as caught:
        export(run, "onyx")
    assert caught.value.code == "unknown-format"
    with pytest.raises(DlrunError) as caught:
        export(tmp_path, "onnx")
    assert caught.value.code == "not-a-run"


def test_a_damaged_checkpoint_is_not_exported(run: Path, tmp_path: Path) -> None:
    last = sorted((run / "checkpoints").iterdir())[-1]
    file = last / "ema.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    try:
        with pytest.raises(RunError) as caught:
            export(last, "onnx", out=tmp_path / "m.onnx")
    finally:
        file.write_bytes(whole)
    assert caught.value.code == "checkpoint-corrupt"
    assert not list(tmp_path.iterdir())
