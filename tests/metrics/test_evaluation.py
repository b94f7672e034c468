"""Loss and metrics of a whole split."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dlrun.errors import DlrunError
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


@pytest.mark.parametrize("kind", ["softmax_cross_entropy", "ctc"])
def test_a_label_that_the_answer_has_not_is_refused(kind: str) -> None:
    evaluation = Evaluation(losses.get(kind)(), [], None)
    with pytest.raises(DlrunError, match="label-out-of-range.*`3`.*0 to 2"):
        evaluation.add(np.zeros((1, 2, 3)), np.array([[1, 3]]))


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


def test_each_place_counts_but_those_of_no_class() -> None:
    output, target = RNG.normal(size=(4, 5, 6, 3)), RNG.integers(0, 3, (4, 5, 6))
    target[0, :2] = 7
    chosen = [metrics.get(name)() for name in ("accuracy", "confusion_matrix")] + [metrics.get("top_k")(k=2)]
    evaluation = Evaluation(None, chosen, 3, ignore_label=7)
    evaluation.add(output[:1], target[:1])
    evaluation.add(output[1:], target[1:])
    result, kept = evaluation.result(), target != 7
    assert result["accuracy"] == (output.argmax(-1) == target)[kept].mean()
    assert np.sum(result["confusion_matrix"]) == kept.sum()
    two = (np.argsort(-output, axis=-1)[..., :2] == target[..., None]).any(-1)
    assert result["top_2"] == two[kept].mean()


def test_what_is_no_number_is_no_hit() -> None:
    evaluation = Evaluation(None, [metrics.get("top_k")(k=1)], 3)
    evaluation.add(np.array([[np.nan, np.nan, np.nan], [np.nan, 1.0, 0.0], [3.0, 1.0, 0.0]]), np.array([0, 1, 0]))
    assert evaluation.result()["top_1"] == pytest.approx(1 / 3)
