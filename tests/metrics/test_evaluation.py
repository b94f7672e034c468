"""Loss and metrics of a whole split."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dlrun.losses import losses
from dlrun.metrics.evaluation import Evaluation
from dlrun.metrics.metric import metrics

RNG = np.random.default_rng(0)


def test_values_in_the_order_of_the_recipe() -> None:
    loss = losses.get("softmax_cross_entropy")(class_weights=(1.0, 5.0, 0.5), label_smoothing=0.1)
    chosen = [metrics.get("f1")(), metrics.get("confusion_matrix")(), metrics.get("accuracy")()]
    output, target = RNG.normal(size=(100, 3)).astype(np.float32), RNG.integers(0, 3, 100)
    evaluation = Evaluation(loss, chosen, 3)
    for x, y in zip(np.array_split(output, 9), np.array_split(target, 9), strict=True):
        evaluation.add(x, y)
    result = evaluation.result()
    assert list(result) == ["loss", "f1", "confusion_matrix", "accuracy"]
    assert evaluation.samples == 100
    # A weighted mean over all samples, not the mean of the batches' means.
    assert result["loss"] == pytest.approx(loss.reference(output, target), rel=1e-13)
    assert result["accuracy"] == (output.argmax(1) == target).mean()
    assert np.sum(result["confusion_matrix"]) == 100
    json.dumps(result)


def test_binary_logits() -> None:
    evaluation = Evaluation(losses.get("binary_cross_entropy")(), [metrics.get("accuracy")()], 2)
    evaluation.add(np.array([[2.0], [-1.0]]), np.array([1, 1]))
    assert evaluation.result()["accuracy"] == 0.5
    assert evaluation.result()["loss"] == pytest.approx((np.log1p(np.exp(-2)) + np.log1p(np.exp(1))) / 2)


def test_numbers() -> None:
    evaluation = Evaluation(losses.get("mse")(), [metrics.get("mae")()], None)
    evaluation.add(np.array([[1.0], [4.0]]), np.array([0.0, 1.0]))
    assert evaluation.result() == {"loss": 5.0, "mae": 2.0}


def test_nothing_added() -> None:
    assert Evaluation(losses.get("mse")(), [], None).result() == {"loss": 0.0}
