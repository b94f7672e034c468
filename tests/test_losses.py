"""Losses against hand-worked numbers and the identities that define them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dlrun.errors import DlrunError
from dlrun.graph import TensorType
from dlrun.losses import log_softmax, losses

IDS = TensorType((), "int")


def make(kind: str, **fields: object):
    return losses.get(kind)(**fields)


@pytest.fixture
def logits() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 3, (12, 5))


@pytest.fixture
def ids() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 5, 12)


def test_log_softmax_survives_large_logits() -> None:
    np.testing.assert_allclose(log_softmax(np.array([[1e4, 0.0]])), [[0.0, -1e4]])


def test_cross_entropy_of_equal_logits_is_log_of_the_classes() -> None:
    assert make("softmax_cross_entropy").reference(np.zeros((3, 4)), np.array([0, 1, 3])) == pytest.approx(math.log(4))


def test_cross_entropy_by_hand() -> None:
    x = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]]))
    loss = make("softmax_cross_entropy").reference(x, np.array([0, 1]))
    assert loss == pytest.approx(-(math.log(0.7) + math.log(0.3)) / 2)


def test_smoothing_is_cross_entropy_with_softened_targets(logits: np.ndarray, ids: np.ndarray) -> None:
    s = 0.2
    soft = np.eye(5)[ids] * (1 - s) + s / 5
    expected = -(soft * log_softmax(logits)).sum(-1).mean()
    assert make("softmax_cross_entropy", label_smoothing=s).reference(logits, ids) == pytest.approx(expected, rel=1e-14)


def test_class_weights_divide_by_their_sum(logits: np.ndarray, ids: np.ndarray) -> None:
    w = (1.0, 2.0, 0.5, 0.0, 3.0)
    nll = -log_softmax(logits)[np.arange(12), ids]
    expected = np.average(nll, weights=np.asarray(w)[ids])
    assert make("softmax_cross_entropy", class_weights=w).reference(logits, ids) == pytest.approx(expected, rel=1e-14)


def test_no_weight_left_is_no_loss() -> None:
    loss = make("softmax_cross_entropy", class_weights=(0.0, 1.0))
    assert loss.reference(np.ones((2, 2)), np.array([0, 0])) == 0.0


def test_smoothing_with_weights_by_hand() -> None:
    x, s, w = np.log(np.array([[0.5, 0.5], [0.8, 0.2]])), 0.1, (1.0, 4.0)
    n = -np.log([[0.5, 0.5], [0.8, 0.2]])
    top = 0.9 * (1 * n[0, 0] + 4 * n[1, 1]) + 0.05 * sum(1 * r[0] + 4 * r[1] for r in n)
    loss = make("softmax_cross_entropy", label_smoothing=s, class_weights=w)
    assert loss.reference(x, np.array([0, 1])) == pytest.approx(top / 5, rel=1e-14)


@pytest.mark.parametrize(("x", "y", "expected"), [(0.0, 1, math.log(2)), (100.0, 1, 0.0), (-100.0, 1, 100.0)])
def test_binary_cross_entropy_by_hand(x: float, y: int, expected: float) -> None:
    assert make("binary_cross_entropy").reference(np.array([[x]]), np.array([y])) == pytest.approx(expected, abs=1e-12)


def test_positive_weight_scales_positives_only() -> None:
    x, y = np.array([[0.3], [-1.2]]), np.array([1, 0])
    plain = make("binary_cross_entropy")
    positive, negative = plain.reference(x[:1], y[:1]), plain.reference(x[1:], y[1:])
    weighted = make("binary_cross_entropy", pos_weight=3.0).reference(x, y)
    assert weighted == pytest.approx((3 * positive + negative) / 2)


def test_mean_squared_error_by_hand() -> None:
    assert make("mse").reference(np.array([[1.0], [4.0]]), np.array([2.0, 2.0])) == pytest.approx(2.5)


@pytest.mark.parametrize(
    "loss",
    [
        make("softmax_cross_entropy", label_smoothing=0.1, class_weights=(1.0, 2.0, 3.0, 0.5, 0.0)),
        make("softmax_cross_entropy"),
    ],
)
def test_parts_of_a_batch_add_up(loss, logits: np.ndarray, ids: np.ndarray) -> None:
    parts = [loss.sums(logits[a:b], ids[a:b]) for a, b in ((0, 5), (5, 12))]
    total, weight = (sum(p) for p in zip(*parts, strict=True))
    assert total / weight == pytest.approx(loss.reference(logits, ids), rel=1e-14)


@pytest.mark.parametrize(
    ("loss", "output", "target", "classes", "code", "words"),
    [
        (make("softmax_cross_entropy"), (9,), IDS, 10, "output-classes", "10 classes"),
        (make("softmax_cross_entropy"), (2, 10), IDS, 10, "output-classes", "(N, 2, 10)"),
        (make("softmax_cross_entropy"), (3,), TensorType((3,)), None, "wrong-target", "float (N, 3)"),
        (
            make("softmax_cross_entropy", class_weights=(1.0, 1.0)),
            (3,),
            IDS,
            3,
            "class-weights-length",
            "2 entries for 3 classes",
        ),
        (make("binary_cross_entropy"), (2,), IDS, 2, "output-shape", "(N, 1)"),
        (make("binary_cross_entropy"), (1,), IDS, 3, "output-shape", "3 classes"),
        (make("mse"), (2,), TensorType((3,)), None, "output-shape", "(N, 3)"),
    ],
)
def test_output_must_fit_the_labels(loss, output, target, classes, code, words) -> None:
    with pytest.raises(DlrunError) as caught:
        loss.check(TensorType(output), target, classes)
    assert caught.value.code == code
    assert words in caught.value.message
    assert caught.value.path[:1] in (("loss",), ("model",))


@pytest.mark.parametrize(
    ("loss", "output", "target", "classes"),
    [
        (make("softmax_cross_entropy"), (10,), IDS, 10),
        (make("binary_cross_entropy"), (1,), IDS, 2),
        (make("binary_cross_entropy"), (4,), TensorType((4,)), None),
        (make("mse"), (1,), TensorType(()), None),
        (make("mse"), (3, 2), TensorType((3, 2)), None),
    ],
)
def test_fitting_output_passes(loss, output, target, classes) -> None:
    loss.check(TensorType(output), target, classes)
