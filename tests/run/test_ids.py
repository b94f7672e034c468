"""Models of ids on data of one's own: from a file of ids to a prediction, on both backends."""

from pathlib import Path

import numpy as np
import pytest

from dlrun.config import compose
from dlrun.errors import DlrunErrors
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
