"""Metrics over class ids: hand-worked cases, and scikit-learn on random ones."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pytest

from dlrun.errors import DlrunError
from dlrun.metrics.metric import Metric, metrics

RNG = np.random.default_rng(0)


def value(metric: Metric, output: Any, target: Any, classes: int = 3, parts: int = 1) -> Any:
    accumulator = metric.start(classes)
    output, target = np.asarray(output, np.float32), np.asarray(target, np.int64)
    for x, y in zip(np.array_split(output, parts), np.array_split(target, parts), strict=True):
        accumulator.add(x, y)
    result = accumulator.result()
    json.dumps(result)
    assert metric.names() == (() if metric.kind == "confusion_matrix" else tuple(result))
    return next(iter(result.values()))


def make(name: str, **fields: Any) -> Metric:
    return metrics.get(name)(**fields)


def test_accuracy_by_hand() -> None:
    output = [[1, 2, 0], [5, 4, 5], [0, 1, 1], [0, 0, 0]]
    assert value(make("accuracy"), output, [1, 0, 2, 0]) == 0.75  # ties: 0, 1 and 0 win


def test_a_single_logit_is_that_of_class_one() -> None:
    output = [[0.1], [-0.1], [0.0], [3.0]]
    assert value(make("accuracy"), output, [1, 0, 0, 0], classes=2) == 0.75
    assert value(make("confusion_matrix"), output, [1, 0, 0, 0], classes=2) == [[2, 1], [0, 1]]
    assert value(make("top_k", k=1), output, [1, 0, 0, 0], classes=2) == 0.75
    assert value(make("top_k", k=2), output, [1, 0, 0, 0], classes=2) == 1.0


def test_top_k_by_hand() -> None:
    output = [[3, 2, 1, 0]] * 4
    assert [value(make("top_k", k=k), output, [0, 1, 2, 3], classes=4) for k in (1, 2, 3, 4)] == [0.25, 0.5, 0.75, 1.0]
    tied = np.zeros((4, 4))
    assert value(make("top_k", k=2), tied, [0, 1, 2, 3], classes=4) == 0.5  # the two lowest indices


def test_top_1_is_accuracy_also_with_ties() -> None:
    output, target = RNG.integers(0, 3, (500, 6)), RNG.integers(0, 6, 500)
    assert value(make("top_k", k=1), output, target, 6) == value(make("accuracy"), output, target, 6)


def test_top_k_names_and_limit() -> None:
    assert make("top_k").names() == ("top_5",)
    make("top_k", k=10).check(10)
    with pytest.raises(DlrunError) as caught:
        make("top_k", k=11).check(10)
    assert caught.value.code == "top-k-too-large"
    assert "`k: 11` is more than the data's 10 classes" in caught.value.message


def test_confusion_matrix_by_hand() -> None:
    output = np.eye(3)[[0, 1, 1, 2, 0]]
    assert value(make("confusion_matrix"), output, [0, 0, 1, 2, 2]) == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
@pytest.mark.parametrize("zero_division", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_precision_recall_f1_are_those_of_scikit_learn(
    name: str, average: Any, zero_division: float, seed: int
) -> None:
    from sklearn import metrics as reference

    rng = np.random.default_rng(seed)
    classes = 7
    # Few samples: some classes are absent from the labels, the predictions, or both.
    target, predicted = rng.integers(0, classes, 9), rng.integers(0, classes - 2, 9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = getattr(reference, f"{name}_score")(target, predicted, average=average, zero_division=zero_division)
    metric = make(name, average=average, zero_division=zero_division)
    assert value(metric, np.eye(classes)[predicted], target, classes) == pytest.approx(expected, abs=1e-15)


def test_macro_passes_over_absent_classes() -> None:
    # Class 2 is nowhere: the mean is over two classes, not three.
    assert value(make("f1"), np.eye(3)[[0, 0, 1, 1]], [0, 0, 1, 1]) == 1.0
    assert value(make("f1"), np.eye(3)[[0, 0, 1, 0]], [0, 0, 1, 1]) == pytest.approx((0.8 + 2 / 3) / 2)


def test_averages_have_names_of_their_own() -> None:
    assert [make("f1", average=a).names()[0] for a in ("macro", "micro", "weighted")] == [
        "f1",
        "f1_micro",
        "f1_weighted",
    ]


@pytest.mark.parametrize("name", ["accuracy", "top_k", "confusion_matrix", "precision", "recall", "f1"])
def test_batch_size_does_not_matter(name: str) -> None:
    output, target = RNG.normal(size=(1000, 10)), RNG.integers(0, 10, 1000)
    whole = value(make(name), output, target, 10)
    assert all(value(make(name), output, target, 10, parts) == whole for parts in (3, 1000))


@pytest.mark.parametrize("name", ["accuracy", "top_k", "confusion_matrix", "precision", "recall", "f1"])
def test_without_samples_or_classes(name: str) -> None:
    metric = make(name)
    assert value(metric, np.zeros((0, 10)), np.zeros(0), 10) in (0.0, [[0] * 10] * 10)
    with pytest.raises(DlrunError, match=f"metric-needs-classes.*`{name}`"):
        metric.check(None)
