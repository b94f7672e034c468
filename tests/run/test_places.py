"""Class ids per place: trained, evaluated and compared on both backends, places of no class left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dlrun.config import compose
from dlrun.errors import DlrunError, DlrunErrors
from dlrun.run.evaluate import evaluate
from dlrun.run.predict import predict
from dlrun.run.train import train

UNET = """\
task: classification
data:
  source: {{name: npz, train: masks.npz, test: masks.npz, classes: 3, ignore_label: 255}}
  batch_size: 8
  validation: 8
model: {{name: unet, filters: 2, depth: 1}}
loss: {loss}
metrics: [accuracy, {{top_k: {{k: 2}}}}, f1, confusion_matrix]
train: {{epochs: 1}}
"""
SEQUENCES = """\
task: classification
data:
  source: {name: random, shape: [11], dtype: int, vocabulary: 9, lowest: 1, target: [6], classes: 9, samples: 24}
  batch_size: 8
  validation: 8
model: {name: seq2seq_transformer, vocabulary: 9, source_length: 5, units: 8, heads: 2, depth: 1}
train: {epochs: 1}
"""


@pytest.fixture(autouse=True)
def masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, (24, 8, 8)).astype(np.uint8)
    y[:, :2] = 255
    np.savez("masks.npz", x=rng.integers(0, 256, (24, 8, 8, 1), dtype=np.uint8), y=y)
    return y


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_a_mask_of_class_ids_is_learnt_and_its_void_left_out(backend: str, masks: np.ndarray) -> None:
    Path("unet.yaml").write_text(UNET.format(loss="{name: softmax_cross_entropy, ignore_index: 255}"))
    result = train(compose(["recipe=unet.yaml", f"backend={backend}"]))
    with pytest.raises(DlrunError, match="nothing-to-predict.*each place"):
        predict(result.directory, [Path("masks.npz")])
    assert evaluate(result.directory).file == "", "what refuses is not named as the next thing to do"
    metrics = result.metrics
    counted = np.array(metrics["test_confusion_matrix"])
    assert counted.sum() == (masks != 255).sum() and (counted.sum(1) == np.bincount(masks[masks != 255])).all()
    assert metrics["test_accuracy"] == pytest.approx(np.trace(counted) / counted.sum())
    assert metrics["test_accuracy"] <= metrics["test_top_2"] <= 1 and np.isfinite(metrics["val_loss"])


def test_a_loss_that_would_read_the_void_is_refused() -> None:
    Path("unet.yaml").write_text(UNET.format(loss="softmax_cross_entropy"))
    with pytest.raises(DlrunErrors) as caught:
        assert compose(["recipe=unet.yaml"]).plan
    (error,) = caught.value.errors
    assert error.code == "label-not-ignored" and "`255`" in str(error) and "ignore_index: 255" in str(error)


def test_void_that_is_not_declared_is_out_of_range() -> None:
    text = UNET.format(loss="{name: softmax_cross_entropy, ignore_index: 255}")
    Path("unet.yaml").write_text(text.replace(", ignore_label: 255", ""))
    with pytest.raises(DlrunErrors) as caught:
        assert compose(["recipe=unet.yaml"]).plan
    assert caught.value.errors[0].code == "label-out-of-range" and "ignore_label" in str(caught.value.errors[0])


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_a_class_per_token_is_evaluated(backend: str) -> None:
    Path("tokens.yaml").write_text(SEQUENCES)
    metrics = train(compose(["recipe=tokens.yaml", f"backend={backend}"])).metrics
    assert 0 <= metrics["val_accuracy"] <= 1 and np.isfinite(metrics["val_loss"])


def test_a_metric_that_cannot_read_the_answer_is_refused_before_training() -> None:
    """A loss that aligns labels with places by itself has other places than the labels."""
    np.savez("texts.npz", x=np.zeros((24, 8, 4), np.float32), y=np.ones((24, 3), np.int64))
    text = """\
task: classification
data: {source: {name: npz, train: texts.npz, classes: 5}, batch_size: 8}
model: {layers: [{reshape: {shape: [8, 4]}}, {conv1d: {filters: 5, kernel: 1}}]}
loss: ctc
metrics: METRICS
"""
    Path("ctc.yaml").write_text(text.replace("METRICS", "[accuracy, f1]"))
    with pytest.raises(DlrunErrors) as caught:
        assert compose(["recipe=ctc.yaml"]).plan
    assert [(e.code, e.path) for e in caught.value.errors] == [("metric-output", ("metrics", i)) for i in (0, 1)]
    assert "reads a logit for each class, `(N, 3, 5)`, but the model's output is `(N, 8, 5)`" in str(caught.value)
    Path("ctc.yaml").write_text(text.replace("METRICS", "[]"))
    assert compose(["recipe=ctc.yaml"]).plan


def test_numbers_for_other_labels_are_refused_before_training() -> None:
    np.savez("two.npz", x=np.zeros((24, 4), np.float32), y=np.zeros(24, np.float32))
    Path("two.yaml").write_text("""\
task: regression
data: {source: {name: npz, train: two.npz}, batch_size: 8}
model: {layers: [{dense: {units: 6}}, {reshape: {shape: [3, 2]}}]}
loss: triplet
metrics: [mae]
""")
    with pytest.raises(DlrunErrors) as caught:
        assert compose(["recipe=two.yaml"]).plan
    assert [e.code for e in caught.value.errors] == ["metric-output"]


def test_what_is_no_number_to_compare_is_not_compared() -> None:
    """The output of `poisson` is the logarithm of a rate, the labels are counts."""
    Path("counts.csv").write_text("a,y\n" + "".join(f"{i / 7},{i}.5\n" for i in range(40)))
    text = """\
task: tabular_regression
data: {source: {name: table, train: counts.csv, target: y}, batch_size: 8}
model: {layers: [dense]}
loss: LOSS
"""
    for loss, metrics in (("poisson", 0), ("{name: poisson}", 0), ("mse", 2)):
        Path("counts.yaml").write_text(text.replace("LOSS", loss))
        assert len(compose(["recipe=counts.yaml"]).plan.recipe.metrics) == metrics
    with pytest.raises(DlrunErrors, match="`rmse` compares outputs with labels.*logarithm of a rate .`poisson`"):
        assert compose(["recipe=counts.yaml", "loss=poisson", "metrics=[rmse]"]).plan
