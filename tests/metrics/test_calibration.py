"""Calibration, likelihood and agreement against scikit-learn and by hand."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pytest

from dlrun.errors import DlrunError
from dlrun.metrics.calibration import confidences, log_probabilities
from dlrun.metrics.metric import metrics

NAMES = {
    "calibration_error": "lower",
    "log_loss": "lower",
    "matthews": "higher",
    "balanced_accuracy": "higher",
    "iou": "higher",
}


def value(name: str, output: Any, target: Any, classes: int, parts: int = 1, **fields: Any) -> float:
    metric = metrics.get(name)(**fields)
    accumulator = metric.start(classes)
    output, target = np.asarray(output, np.float32), np.asarray(target, np.int64)
    for x, y in zip(np.array_split(output, parts), np.array_split(target, parts), strict=True):
        accumulator.add(x, y)
    result = accumulator.result()
    json.dumps(result, allow_nan=False)
    assert tuple(result) == metric.names()
    return float(result[metric.names()[0]])


def logits_of(probability: list[float]) -> np.ndarray:
    p = np.asarray(probability)
    return np.stack([np.log(1 - p), np.log(p)], 1)


def test_calibration_error_by_hand() -> None:
    # Two bins: (0, 0.5] and (0.5, 1]. Confidence 0.9, 0.9, 0.6, 0.8 with the hits 1, 0, 1, 0.
    output = logits_of([0.9, 0.9, 0.4, 0.2])
    assert value("calibration_error", output, [1, 0, 0, 1], 2, bins=2) == pytest.approx(abs(0.5 - 0.8))
    # One bin for each: |1 - .6| + |0 - .8| + |1 - 1.8| over 4.
    assert value("calibration_error", output, [1, 0, 0, 1], 2, bins=10) == pytest.approx(
        (0.4 + 0.8 + 0.8) / 4, rel=1e-6
    )


@pytest.mark.parametrize("bins", [1, 7, 10, 15])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("columns", [1, 2, 9])
def test_bins_are_those_of_scikit_learn(bins: int, seed: int, columns: int) -> None:
    from sklearn.calibration import calibration_curve

    rng = np.random.default_rng(seed)
    target = rng.integers(0, max(2, columns), 400)
    output = (rng.normal(size=(400, columns)) * 3).astype(np.float32)
    confidence = confidences(output)
    hits = ((output[:, 0] > 0) if columns == 1 else output.argmax(1)) == target
    accuracy, mean = calibration_curve(hits, confidence, n_bins=bins)
    samples = np.histogram(confidence, np.linspace(0, 1, bins + 1))[0]  # no confidence is at an edge
    expected = (np.abs(accuracy - mean) * samples[samples > 0]).sum() / 400
    assert value("calibration_error", output, target, max(2, columns), bins=bins) == pytest.approx(expected, rel=1e-12)


def test_an_upper_edge_belongs_to_its_bin_and_certainty_to_the_last() -> None:
    accumulator = metrics.get("calibration_error")(bins=4).start(2)
    accumulator.count(np.array([0.0, 0.25, 0.5, 0.75, 1.0, 0.7500001]), np.ones(6, bool))
    assert accumulator.samples.tolist() == [2, 1, 1, 2]


def test_a_single_logit_is_two_classes() -> None:
    x = np.array([[3.0], [-1.0], [0.0], [800.0], [-800.0]])
    np.testing.assert_allclose(log_probabilities(x), log_probabilities(np.concatenate([0 * x, x], 1)), atol=1e-300)
    np.testing.assert_allclose(confidences(x)[:3], [1 / (1 + np.exp(-3)), 1 / (1 + np.exp(-1)), 0.5])
    for name in ("calibration_error", "log_loss"):
        assert value(name, x[:3], [1, 1, 0], 2) == pytest.approx(
            value(name, np.concatenate([0 * x, x], 1)[:3], [1, 1, 0], 2), rel=1e-14
        )


@pytest.mark.parametrize("columns", [2, 6])
def test_log_loss_is_that_of_scikit_learn(columns: int) -> None:
    from sklearn.metrics import log_loss

    rng = np.random.default_rng(0)
    output, target = rng.normal(size=(200, columns)).astype(np.float32), rng.integers(0, columns - 1, 200)
    expected = log_loss(target, np.exp(log_probabilities(output)), labels=range(columns))
    assert value("log_loss", output, target, columns) == pytest.approx(expected, rel=1e-12)


def test_log_loss_of_extreme_logits_is_not_clipped() -> None:
    assert value("log_loss", [[0.0, 5000.0]], [0], 2) == 5000.0
    assert value("log_loss", [[5000.0]], [0], 2) == 5000.0
    assert value("log_loss", [[0.0, 5000.0]], [1], 2) == 0.0
    assert value("calibration_error", [[0.0, 5000.0]] * 2, [0, 1], 2) == 0.5


@pytest.mark.parametrize("seed", range(6))
def test_agreement_is_that_of_scikit_learn(seed: int) -> None:
    from sklearn import metrics as reference

    rng = np.random.default_rng(seed)
    classes = (2, 7)[seed % 2]
    # Few samples: some classes are absent from the labels, the predictions, or both.
    target, predicted = rng.integers(0, classes, 9), rng.integers(0, max(2, classes - 2), 9)
    output = np.eye(classes)[predicted]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {
            ("matthews", ""): reference.matthews_corrcoef(target, predicted),
            ("balanced_accuracy", ""): reference.balanced_accuracy_score(target, predicted),
            **{
                ("iou", average): reference.jaccard_score(target, predicted, average=average, zero_division=0)
                for average in ("macro", "micro", "weighted")
            },
        }
    for (name, average), wanted in expected.items():
        fields = {"average": average} if average else {}
        assert value(name, output, target, classes, **fields) == pytest.approx(wanted, abs=1e-14), name


def test_agreement_of_a_single_class_and_of_many_samples() -> None:
    assert value("matthews", np.eye(3)[[1, 1]], [1, 1], 3) == 0.0
    assert value("balanced_accuracy", np.eye(3)[[1, 1]], [1, 1], 3) == 1.0
    accumulator: Any = metrics.get("matthews")().start(2)
    accumulator.matrix = np.array([[4 * 10**9, 10**9], [10**9, 4 * 10**9]])  # products beyond 64 bits
    assert accumulator.result()["matthews"] == pytest.approx(0.6, rel=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_batches_directions_and_needs(name: str) -> None:
    rng = np.random.default_rng(0)
    output, target = rng.normal(size=(600, 5)), rng.integers(0, 5, 600)
    whole = value(name, output, target, 5)
    assert all(value(name, output, target, 5, parts) == pytest.approx(whole, rel=1e-13) for parts in (3, 600))
    assert metrics.get(name)().better == NAMES[name]
    assert value(name, np.zeros((0, 5)), np.zeros(0), 5) == 0.0
    with pytest.raises(DlrunError, match=f"metric-needs-classes.*`{name}`"):
        metrics.get(name)().check(None)


def test_mean_squared_error_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import mean_squared_error

    rng = np.random.default_rng(0)
    output, target = rng.normal(size=(90, 3)), rng.normal(size=(90, 3))
    for parts in (1, 7):
        accumulator = metrics.get("mse")().start(None)
        for x, y in zip(np.array_split(output, parts), np.array_split(target, parts), strict=True):
            accumulator.add(x, y)
        assert accumulator.result() == {"mse": pytest.approx(mean_squared_error(target, output), rel=1e-13)}
    assert metrics.get("mse")().better == "lower"
    with pytest.raises(DlrunError, match=r"metric-needs-numbers.*`mse`"):
        metrics.get("mse")().check(3)
