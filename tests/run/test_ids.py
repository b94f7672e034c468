"""Models of ids on data of one's own: from a file of ids to a prediction, on both backends."""

from pathlib import Path

import numpy as np
import pytest

from dlrun.config import compose
from dlrun.errors import DlrunError, DlrunErrors
from dlrun.run.evaluate import evaluate
from dlrun.run.predict import predict
from dlrun.run.train import train

RECIPE = """
task: classification
data: {source: {name: npz, train: train.npz, test: test.npz, dtype: int}, batch_size: 20, validation: 40}
model: {name: lstm_classifier, units: 8, state: 8, layers: 1}
optimizer: {name: adam, learning_rate: 0.02}
train: {epochs: 4}
device: {threads: 1}
tracker: none
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Texts of two classes, one for each half of the ids; 0 fills up."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, samples in (("train", 240), ("test", 40)):
        y = rng.integers(0, 2, samples)
        x = rng.integers(1, 15, (samples, 6)) + 14 * y[:, None]
        x[::3, 4:] = 0
        x[0] = (1, 28, 1, 28, 1, 28)
        np.savez(f"{name}.npz", x=x, y=y)
    (tmp_path / "ids.yaml").write_text(RECIPE)
    return tmp_path


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_a_classifier_of_ids_learns_and_predicts(folder: Path, backend: str) -> None:
    composed = compose(["recipe=./ids.yaml", f"backend={backend}"])
    assert composed.plan.initial_weights()["embedding.table"].shape == (29, 8)
    run = train(composed).directory
    assert evaluate(run).metrics["accuracy"] > 0.9
    np.save("low.npy", np.array([3, 5, 7, 2, 0, 0]))
    np.save("high.npy", np.array([20, 21, 25, 28, 0, 0], np.uint8))
    assert [p.answer.said["label"] for p in predict(run, [Path("low.npy"), Path("high.npy")])] == ["0", "1"]


@pytest.mark.parametrize("name", ["lstm_classifier", "text_cnn", "transformer_classifier"])
@pytest.mark.parametrize("source", ["{name: npz, train: train.npz, dtype: int}", "RANDOM"])
def test_the_vocabulary_is_the_data_s(folder: Path, name: str, source: str) -> None:
    source = source.replace("RANDOM", "{name: random, shape: [6], dtype: int, vocabulary: 29, classes: 2}")
    (folder / "a.yaml").write_text(f"task: classification\ndata: {{source: {source}}}\nmodel: {{name: {name}}}\n")
    tables = [w.shape for n, w in compose(["recipe=./a.yaml"]).plan.graph.weights() if n == "embedding.table"]
    more = [
        w.shape for n, w in compose(["recipe=./a.yaml", "model.vocabulary=50"]).plan.graph.weights() if "table" in n
    ]
    assert tables[0][0] == 29 and more[0][0] == 50


def test_layers_refer_to_the_vocabulary(folder: Path) -> None:
    text = RECIPE.split("model:")[0] + (
        'model: {layers: [{embedding: {vocabulary: "${data.vocabulary}", units: 4}}, flatten, dense]}\n'
    )
    (folder / "layers.yaml").write_text(text)
    weights = {name: w.shape for name, w in compose(["recipe=./layers.yaml"]).plan.graph.weights()}
    assert weights["embedding_1.table"] == (29, 4)
    with pytest.raises(DlrunErrors) as caught:
        compose(["recipe=./layers.yaml", "data.source.dtype=float"])
    (error,) = caught.value.errors
    assert error.code == "interpolation" and "`dtype: int`" in (error.hint or "")


def test_numbers_where_ids_are_read_lead_to_dtype_int(folder: Path) -> None:
    with pytest.raises(DlrunErrors) as caught:
        compose(["recipe=./ids.yaml", "data.source.dtype=float"])
    (error,) = caught.value.errors
    assert error.code == "wrong-input" and "dtype: int" in (error.hint or "")


def test_ids_beyond_a_table_are_refused_before_training(folder: Path) -> None:
    layers = "model: {layers: [{embedding: {vocabulary: 20, units: 4}}, flatten, dense]}\n"
    (folder / "layers.yaml").write_text(RECIPE.split("model:")[0] + layers)
    with pytest.raises(DlrunErrors) as caught:
        compose(["recipe=./layers.yaml"])
    (error,) = caught.value.errors
    assert error.code == "id-out-of-range" and error.path == ("model", "layers", 0, "embedding", "vocabulary")
    assert "ids up to 28, but `embedding_1` has vectors for 0 to 19" in error.message


def test_a_run_keeps_its_numbers_of_ids_and_classes(folder: Path) -> None:
    with np.load("train.npz") as arrays:
        x, y = np.minimum(arrays["x"], 20), arrays["y"]
    np.savez("train.npz", x=x, y=y)  # the largest id is in the test file alone
    run = train(compose(["recipe=./ids.yaml", "backend=torch", "train.epochs=1"])).directory
    np.savez("other.npz", x=x[:30], y=np.zeros(30, int))
    assert evaluate(run, overrides=["data.source.test=other.npz"]).samples == 30
    np.savez("other.npz", x=x[:30] + 9, y=np.zeros(30, int))
    with pytest.raises(DlrunError, match="id-out-of-range.*id `29`.* is 29"):
        evaluate(run, overrides=["data.source.test=other.npz"])
    np.savez("other.npz", x=x[:30], y=np.full(30, 2))
    with pytest.raises(DlrunError, match="label-out-of-range.*label `2`.*run knows is 2"):
        evaluate(run, overrides=["data.source.test=other.npz"])
