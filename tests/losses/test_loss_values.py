"""Losses against hand-worked numbers and the identities that define them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dlrun.losses import log_softmax, losses
from dlrun.losses.weighted_sum import Term


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


def test_shares_are_class_ids_where_they_are_one(logits: np.ndarray, ids: np.ndarray) -> None:
    fields = {"label_smoothing": 0.1, "class_weights": (1.0, 2.0, 0.5, 0.25, 3.0)}
    loss = make("softmax_cross_entropy", **fields)
    assert loss.reference(logits, np.eye(5)[ids]) == pytest.approx(loss.reference(logits, ids), rel=1e-14)


def test_ignored_places_are_left_out_of_both_sums(logits: np.ndarray, ids: np.ndarray) -> None:
    kept = ids != 3
    expected = make("softmax_cross_entropy", label_smoothing=0.1).reference(logits[kept], ids[kept])
    ignoring = make("softmax_cross_entropy", label_smoothing=0.1, ignore_index=3)
    assert ignoring.reference(logits, ids) == pytest.approx(expected, rel=1e-14)
    holes = np.where(kept, ids, -7)
    ignoring = make("softmax_cross_entropy", label_smoothing=0.1, ignore_index=-7)
    assert ignoring.reference(logits, holes) == pytest.approx(expected, rel=1e-14)


def test_places_are_samples(logits: np.ndarray, ids: np.ndarray) -> None:
    for kind in ("softmax_cross_entropy", "softmax_focal"):
        loss = make(kind, class_weights=(1.0, 2.0, 0.5, 0.0, 3.0))
        places = loss.reference(logits.reshape(2, 3, 2, 5), ids.reshape(2, 3, 2))
        assert places == pytest.approx(loss.reference(logits, ids), rel=1e-14)


def test_labels_that_are_no_number_are_left_out() -> None:
    x, y = np.array([[1.0, 5.0], [2.0, 7.0]]), np.array([[0.0, np.nan], [np.nan, 4.0]])
    assert make("mse", ignore_nan=True).reference(x, y) == pytest.approx((1 + 9) / 2)
    assert math.isnan(make("mse").reference(x, y))


@pytest.mark.parametrize(
    ("kind", "fields", "errors", "expected"),
    [
        ("mae", {}, (-2.0, 1.0), 1.5),
        ("huber", {"delta": 2.0}, (-4.0, 1.0), (2 * (4 - 1) + 0.5) / 2),
        ("smooth_l1", {"beta": 2.0}, (-4.0, 1.0), (4 - 1 + 0.25) / 2),
        ("log_cosh", {}, (0.0, 1.0), math.log(math.cosh(1)) / 2),
        ("log_cosh", {}, (1e4, -1e4), 1e4 - math.log(2)),
    ],
)
def test_errors_of_numbers_by_hand(kind: str, fields: dict, errors: tuple, expected: float) -> None:
    label = np.array([3.0, -1.0])
    loss = make(kind, **fields).reference((label + errors)[:, None], label)
    assert loss == pytest.approx(expected, rel=1e-12)


def test_smooth_l1_is_huber_divided_by_delta() -> None:
    x, y = np.linspace(-3, 3, 13)[:, None], np.zeros(13)
    assert make("smooth_l1", beta=0.7).reference(x, y) == pytest.approx(make("huber", delta=0.7).reference(x, y) / 0.7)


def test_poisson_is_least_at_the_logarithm_of_the_count() -> None:
    at = [make("poisson").reference(np.array([[math.log(3) + e]]), np.array([3])) for e in (-0.01, 0.0, 0.01)]
    assert at[1] == pytest.approx(3 - 3 * math.log(3)) and at[1] < min(at[0], at[2])


def test_divergence_is_cross_entropy_less_the_labels_own(logits: np.ndarray) -> None:
    p = np.random.default_rng(2).dirichlet(np.ones(5), 12)
    own = -(p * np.log(p)).sum(-1).mean()
    expected = make("softmax_cross_entropy").reference(logits, p) - own
    assert make("kl_divergence").reference(logits, p) == pytest.approx(expected, rel=1e-12)
    assert make("kl_divergence").reference(np.log(p), p) == pytest.approx(0.0, abs=1e-14)


def test_smoothed_bits_lie_between_the_labels() -> None:
    x, s = np.array([[0.7], [-0.3]]), 0.2
    plain = make("binary_cross_entropy")
    expected = plain.reference(x, np.array([1 - s / 2, s / 2]))
    assert make("binary_cross_entropy", label_smoothing=s).reference(x, np.array([1, 0])) == pytest.approx(expected)


@pytest.mark.parametrize(("squared", "expected"), [(False, (0.5 + 3.0) / 3), (True, (0.25 + 9.0) / 3)])
def test_hinge_by_hand_with_either_labels(squared: bool, expected: float) -> None:
    x = np.array([[0.5], [2.0], [-4.0]])
    loss = make("hinge", squared=squared)
    assert loss.reference(x, np.array([1.0, -1.0, -1.0])) == pytest.approx(expected)
    assert loss.reference(x, np.array([1, 0, 0])) == pytest.approx(expected)


def test_focal_by_hand() -> None:
    p = 0.8  # of the positive label
    x = np.array([[math.log(p / (1 - p))], [math.log(p / (1 - p))]])
    loss = make("focal", alpha=0.3, gamma=3.0).reference(x, np.array([1, 0]))
    assert loss == pytest.approx((-0.3 * 0.2**3 * math.log(0.8) - 0.7 * 0.8**3 * math.log(0.2)) / 2)
    plain = make("focal", alpha=None, gamma=0.0)
    assert plain.reference(x, np.array([1, 0])) == pytest.approx(
        make("binary_cross_entropy").reference(x, np.array([1, 0]))
    )


def test_focal_may_be_divided_by_positives() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 4)), np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    total, elements = make("focal").sums(x, y)
    assert make("focal", divide_by="positives").sums(x, y) == (total, 2 + 1)  # a sample without any counts one
    assert elements == 8


def test_softmax_focal_of_two_classes_is_the_binary_one_without_alpha() -> None:
    x, y = np.random.default_rng(0).normal(size=(6, 1)), np.array([0, 1, 1, 0, 1, 0])
    expected = make("focal", alpha=None).reference(x, y)
    assert make("softmax_focal").reference(np.concatenate([0 * x, x], 1), y) == pytest.approx(expected, rel=1e-13)


def test_heatmap_focal_by_hand() -> None:
    p = np.array([[0.9, 0.4, 0.1]])
    y = np.array([[1.0, 0.5, 0.0]])
    expected = -(0.1**2 * math.log(0.9) + 0.5**4 * 0.4**2 * math.log(0.6) + 0.1**2 * math.log(0.9))
    assert make("heatmap_focal").reference(np.log(p / (1 - p)), y) == pytest.approx(expected, rel=1e-12)
    assert make("heatmap_focal").sums(np.zeros((2, 3)), np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]))[1] == 3


def test_dice_by_hand_for_masks_and_class_ids() -> None:
    x, y = np.log(np.array([[[3.0], [1.0]]])), np.array([[1.0, 0.0]])  # probabilities 0.75 and 0.5
    assert make("dice").reference(x, y) == pytest.approx(1 - (2 * 0.75 + 1) / (1.25 + 1 + 1))
    two = np.concatenate([0 * x, x], -1)
    back = 1 - (2 * 0.5 + 1) / (0.75 + 1 + 1)
    assert make("dice").reference(two, np.array([[1, 0]])) == pytest.approx((1 - 2.5 / 3.25 + back) / 2)
    assert make("dice", ignore_index=9).reference(np.stack([x[0], x[0]]), np.array([[1, 0], [9, 9]])) == pytest.approx(
        1 - 2.5 / 3.25
    )


def test_cosine_by_hand() -> None:
    x, y = np.array([[3.0, 4.0], [0.0, 2.0], [0.0, 0.0]]), np.array([[4.0, 3.0], [0.0, -5.0], [1.0, 0.0]])
    assert make("cosine_similarity").reference(x, y) == pytest.approx((1 - 24 / 25 + 2 + 1) / 3)


def test_contrastive_and_triplet_by_hand() -> None:
    pairs = np.array([[[0.0, 0.0], [3.0, 4.0]], [[0.0, 0.0], [0.0, 2.0]], [[1.0, 1.0], [9.0, 9.0]]])
    assert make("contrastive", margin=3.0).reference(pairs, np.array([1, 0, 0])) == pytest.approx(
        (25 + 1) / 3, rel=1e-5
    )
    triplets = np.array([[[0.0, 0.0], [3.0, 4.0], [0.0, 2.0]], [[0.0, 0.0], [0.0, 1.0], [0.0, 9.0]]])
    assert make("triplet", margin=1.5).reference(triplets, np.array([0, 0])) == pytest.approx(
        (5 - 2 + 1.5) / 2, rel=1e-5
    )


def test_boxes_by_hand() -> None:
    y = np.array([[0.0, 0.0, 2.0, 2.0]])
    half, apart = np.array([[1.0, 0.0, 3.0, 2.0]]), np.array([[3.0, 0.0, 5.0, 2.0]])
    assert make("iou").reference(half, y) == pytest.approx(1 - 2 / 6)
    assert make("iou").reference(apart, y) == pytest.approx(1)
    assert make("giou").reference(half, y) == pytest.approx(1 - 2 / 6)
    assert make("giou").reference(apart, y) == pytest.approx(1 + (10 - 8) / 10)
    assert make("iou").reference(y, y) == pytest.approx(0, abs=1e-7)
    filled = np.concatenate([y, np.zeros((1, 4))])
    assert make("giou").sums(np.concatenate([half, apart]), filled)[1] == 1


def test_ctc_adds_up_every_alignment() -> None:
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(1, 4, 3)), [1, 1]
    p = np.exp(log_softmax(x))[0]
    total = 0.0
    for path in np.ndindex(3, 3, 3, 3):
        merged = [a for i, a in enumerate(path) if a != 0 and (i == 0 or path[i - 1] != a)]
        if merged == labels:
            total += math.prod(p[t, a] for t, a in enumerate(path))
    assert make("ctc").reference(x, np.array([labels])) == pytest.approx(-math.log(total), rel=1e-13)
    longer = np.concatenate([x, rng.normal(size=(1, 2, 3))], 1)
    counted = make("ctc", frame_counts=True)
    assert counted.reference(longer, np.array([[4, *labels]])) == pytest.approx(-math.log(total), rel=1e-13)


def test_ctc_without_an_alignment_costs_nothing() -> None:
    assert make("ctc").sums(np.zeros((1, 2, 3)), np.array([[1, 1]])) == (0.0, 1.0)


def test_a_sum_weights_its_terms_after_dividing_each() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 3, 4)), np.array([[0, 9, 9], [9, 2, 1]])
    entropy, dice = make("softmax_cross_entropy", ignore_index=9), make("dice", ignore_index=9)
    both = make("weighted_sum", terms=(Term(loss=entropy, weight=2.0), Term(loss=dice, weight=0.5)))
    assert both.reference(x, y) == pytest.approx(2 * entropy.reference(x, y) + 0.5 * dice.reference(x, y), rel=1e-14)


def test_evaluation_of_a_sum_reads_the_answer_only() -> None:
    x, y = np.random.default_rng(0).normal(size=(3, 4)), np.array([0, 1, 3])
    entropy = make("softmax_cross_entropy")
    terms = (Term(loss=entropy, weight=2.0), Term(loss=entropy, output="aux"), Term(loss=entropy, output="answer"))
    answering = make("weighted_sum", terms=terms).answering("answer")
    assert answering.reference(x, y) == pytest.approx(3 * entropy.reference(x, y), rel=1e-14)
    assert make("weighted_sum", terms=terms).places(("answer", "aux")) == (0, 1, 0)
