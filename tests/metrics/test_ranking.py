"""Areas under curves against scikit-learn: ties, absent classes, extreme logits, batches."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import pytest

from dlrun.errors import DlrunError
from dlrun.metrics.metric import metrics
from dlrun.metrics.ranking import log_odds

NAMES = ("roc_auc", "average_precision")


def value(name: str, output: Any, target: Any, parts: int = 1, **fields: Any) -> float | None:
    metric = metrics.get(name)(**fields)
    output, target = np.asarray(output, np.float32), np.asarray(target, np.int64)
    accumulator = metric.start(max(2, output.shape[-1]))
    for x, y in zip(np.array_split(output, parts), np.array_split(target, parts), strict=True):
        accumulator.add(x, y)
    result = accumulator.result()
    json.dumps(result, allow_nan=False)
    assert tuple(result) == metric.names()
    found: float | None = result[metric.names()[0]]
    return found


def reference(name: str, target: np.ndarray, scores: np.ndarray) -> float:
    from sklearn import metrics as sklearn

    return float(getattr(sklearn, f"{name}_score")(target, scores))


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(np.asarray(logits, np.float64) - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def test_by_hand() -> None:
    scores = [[0.1], [0.4], [0.35], [0.8]]
    assert value("roc_auc", scores, [0, 0, 1, 1]) == 0.75
    assert value("average_precision", scores, [0, 0, 1, 1]) == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert value("roc_auc", [[1.0]] * 4, [0, 1, 0, 1]) == 0.5  # a tie is half a hit
    assert value("roc_auc", [[0.0], [1.0], [1.0]], [0, 0, 1]) == 0.75


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("ties", [False, True])
def test_two_classes_are_those_of_scikit_learn(name: str, seed: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 2, 300)
    logits = rng.normal(size=300) + target
    logits = np.round(logits * 2) / 2 if ties else logits.astype(np.float32)
    expected = pytest.approx(reference(name, target, logits), abs=1e-13)
    assert value(name, logits[:, None], target) == expected
    both = np.stack([np.zeros(300), logits], 1)
    assert value(name, both, target) == expected
    assert value(name, both, target, average="weighted") == expected


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_more_classes_are_those_of_scikit_learn_one_against_the_rest(name: str, seed: int, average: str) -> None:
    from sklearn import metrics as sklearn

    rng = np.random.default_rng(seed)
    target = np.concatenate([np.arange(5), rng.integers(0, 5, 95)])
    logits = np.round(rng.normal(size=(100, 5)) + np.eye(5)[target]).astype(np.float32)  # whole numbers: many ties
    scores = np.round(softmax(logits), 12)  # what rounding alone keeps apart is a tie
    if name == "roc_auc":
        expected = np.average(
            [reference(name, target == c, scores[:, c]) for c in range(5)],
            weights=np.bincount(target) if average == "weighted" else None,
        )
    else:
        expected = sklearn.average_precision_score(np.eye(5)[target], scores, average=average)
    assert value(name, logits, target, average=average) == pytest.approx(expected, abs=1e-12)


def test_scikit_learn_has_the_same_average() -> None:
    from sklearn import metrics as sklearn

    rng = np.random.default_rng(7)
    target, logits = rng.integers(0, 4, 200), rng.normal(size=(200, 4)).astype(np.float32)
    for average in ("macro", "weighted"):
        expected = sklearn.roc_auc_score(target, softmax(logits), multi_class="ovr", average=average)
        assert value("roc_auc", logits, target, average=average) == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_absent_classes_are_left_out(name: str) -> None:
    rng = np.random.default_rng(1)
    target, logits = rng.choice([0, 2, 5], 80), rng.normal(size=(80, 6)).astype(np.float32)
    each = [reference(name, target == c, log_odds(logits)[:, c]) for c in (0, 2, 5)]
    assert value(name, logits, target) == pytest.approx(np.mean(each), abs=1e-13)
    shares = [np.mean(target == c) for c in (0, 2, 5)]
    assert value(name, logits, target, average="weighted") == pytest.approx(np.average(each, weights=shares), abs=1e-13)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("columns", [1, 2, 4])
def test_one_class_alone_nothing_or_no_number_has_no_value(name: str, columns: int) -> None:
    logits = np.random.default_rng(0).normal(size=(9, columns))
    assert value(name, logits, np.ones(9)) is None
    assert value(name, logits, np.zeros(9)) is None
    assert value(name, np.zeros((0, columns)), np.zeros(0)) is None
    assert metrics.get(name)().start(2).result() == {name: None}
    broken = logits.copy()
    broken[3, 0] = np.nan
    assert value(name, broken, np.arange(9) % 2) is None
    assert "no class has both" in metrics.get(name).undefined


def test_extreme_logits_keep_their_order() -> None:
    """Probabilities are all 1 or 0 here: rounded, they would tie."""
    logits = np.array([[0.0, 900.0], [0.0, 800.0], [0.0, 700.0], [0.0, -700.0], [0.0, -800.0]], np.float32)
    target = np.array([1, 1, 0, 1, 0])
    assert value("roc_auc", logits, target) == pytest.approx(reference("roc_auc", target, logits[:, 1]))
    three = np.concatenate([logits, np.full((5, 1), -1e30)], 1)
    # Classes 0 and 1 are ordered as if there were no third one, which has no samples.
    assert value("roc_auc", three, target) == value("roc_auc", logits, target)
    assert value("roc_auc", [[1e38], [-1e38]], [1, 0]) == 1.0


def test_log_odds() -> None:
    rng = np.random.default_rng(0)
    for columns in (2, 3, 40):
        logits = rng.normal(size=(50, columns)) * 5
        p = softmax(logits)
        np.testing.assert_allclose(log_odds(logits), np.log(p / (1 - p)), rtol=1e-9, atol=1e-9)
    two = rng.normal(size=(50, 2)).astype(np.float32).astype(np.float64)
    assert (log_odds(two)[:, 1] == two[:, 1] - two[:, 0]).all()
    assert (log_odds(two)[:, 0] == two[:, 0] - two[:, 1]).all()
    same = np.repeat(rng.normal(size=(1, 7)), 33, 0)
    assert (log_odds(same) == log_odds(same[:1])).all()  # equal rows tie wherever they stand


def test_log_odds_do_not_depend_on_the_order_of_classes() -> None:
    """Not even in the last digit, or samples that are alike would not tie; equal logits are alike too."""
    rng = np.random.default_rng(0)
    x = rng.integers(-3, 4, (400, 12)) / np.float32(3)
    for _ in range(5):
        order = rng.permutation(12)
        assert (log_odds(x[:, order]) == log_odds(x)[:, order]).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("columns", [1, 2, 6])
def test_batches_do_not_matter(name: str, columns: int) -> None:
    rng = np.random.default_rng(2)
    logits, target = np.round(rng.normal(size=(500, columns)), 1), rng.integers(0, max(2, columns), 500)
    assert len({value(name, logits, target, parts) for parts in (1, 3, 500)}) == 1


@pytest.mark.parametrize("name", NAMES)
def test_names_and_needs(name: str) -> None:
    assert metrics.get(name)().names() == (name,)
    assert metrics.get(name)(average="weighted").names() == (f"{name}_weighted",)
    with pytest.raises(DlrunError, match=f"metric-needs-classes.*`{name}`"):
        metrics.get(name)().check(None)


def test_absent_warnings_stay_away() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert value("roc_auc", [[0.0, 800.0, -800.0], [800.0, 0.0, 0.0]], [0, 1]) is not None
