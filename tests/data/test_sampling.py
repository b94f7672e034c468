"""Which samples an epoch visits, and how often."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlrun.data.augmentation import augmentations
from dlrun.data.feed import Feed
from dlrun.data.sampling import visits
from dlrun.data.source import sources
from dlrun.errors import DlrunError, DlrunErrors
from dlrun.losses import losses
from dlrun.plan import Plan

Y = np.repeat([0, 1, 2], [700, 200, 100])


@pytest.fixture
def feed(tmp_path: Any, plan_of: Callable[..., Plan]) -> Callable[..., Feed]:
    """A feed of 1,000 samples of three classes, 70, 20 and 10 % of them."""
    np.savez(tmp_path / "a.npz", x=np.arange(1000, dtype=np.float32)[:, None], y=Y)

    def make(**data: Any) -> Feed:
        return Feed(plan_of(sources.get("npz")(train=str(tmp_path / "a.npz")), **data))

    return make


def shares(order: np.ndarray) -> np.ndarray:
    return np.bincount(Y[order], minlength=3) / len(order)


def test_each_sample_once_by_default(feed: Callable[..., Feed]) -> None:
    order = feed().order(0)
    assert sorted(order) == list(range(1000)) and order.dtype == np.int64


@pytest.mark.parametrize(
    ("sampling", "expected"), [("balanced", [1 / 3, 1 / 3, 1 / 3]), ((0.0, 3.0, 1.0), [0, 0.75, 0.25])]
)
def test_classes_are_drawn_as_often_as_said(feed: Callable[..., Feed], sampling: Any, expected: list[float]) -> None:
    one = feed(sampling=sampling)
    orders = np.concatenate([one.order(epoch) for epoch in range(20)])
    np.testing.assert_allclose(shares(orders), expected, atol=0.012)  # three standard errors of 20,000 draws
    first = one.order(0)
    np.testing.assert_array_equal(first, feed(sampling=sampling).order(0))
    assert not np.array_equal(first, one.order(1)) and not np.array_equal(
        first, feed(sampling=sampling, seed=1).order(0)
    )
    within = np.bincount(orders[Y[orders] == 2], minlength=1000)[900:]
    assert within.min() > 0 and within.max() < 4 * within.mean()


def test_balanced_batches_reach_the_engine(feed: Callable[..., Feed]) -> None:
    one = feed(sampling="balanced", batch_size=100, memory_mb=1)
    labels = np.concatenate([y for _, y in one.batches(0)])
    np.testing.assert_array_equal(labels, Y[one.order(0)])


@pytest.mark.parametrize(("policy", "steps", "last"), [("keep", 8, 104), ("drop", 7, 128)])
def test_a_smaller_last_batch_is_kept_or_dropped(feed: Callable[..., Feed], policy: str, steps: int, last: int) -> None:
    one = feed(last_batch=policy)
    assert one.plan.steps_per_epoch == steps
    assert len(list(one.batches(0, 0, steps))[-1][0]) == last


@pytest.mark.parametrize(("sampling", "code"), [((1.0, 1.0), "wrong-shares"), ((0.0, 0.0, 0.0), "wrong-shares")])
def test_shares_that_do_not_fit(feed: Callable[..., Feed], sampling: Any, code: str) -> None:
    with pytest.raises(DlrunErrors) as caught:
        feed(sampling=sampling)
    assert [(e.code, e.path) for e in caught.value.errors] == [(code, ("data", "sampling"))]


def test_numbers_have_no_classes_to_draw_by(tmp_path: Any, plan_of: Callable[..., Plan]) -> None:
    np.savez(tmp_path / "n.npz", x=np.zeros((9, 2), np.float32), y=np.zeros((9, 1), np.float32))
    with pytest.raises(DlrunErrors) as caught:
        plan_of(sources.get("npz")(train=str(tmp_path / "n.npz")), units=1, sampling="balanced", batch_size=3)
    assert [(e.code, e.path) for e in caught.value.errors] == [("needs-classes", ("data", "sampling"))]


def test_visits_are_counted() -> None:
    order = np.random.default_rng(0).integers(0, 9, 50)
    np.testing.assert_array_equal(visits(order), [(order[:i] == n).sum() for i, n in enumerate(order)])
    assert visits(order[:0]).shape == (0,)


def test_a_sample_drawn_again_is_changed_otherwise(tmp_path: Path, plan_of: Callable[..., Plan]) -> None:
    x = np.random.default_rng(0).integers(0, 255, (8, 6, 6, 1)).astype(np.uint8)
    np.savez(tmp_path / "a.npz", x=x, y=np.array([0] * 7 + [1]))
    crop = augmentations.get("random_crop")(padding=3)
    source = sources.get("npz")(train=str(tmp_path / "a.npz"))
    feed = Feed(plan_of(source, sampling=(0.0, 1.0), augment=(crop,), batch_size=8))
    ((first, y),) = feed.batches(0)
    ((again, _),) = feed.batches(0)
    assert y.tolist() == [1] * 8  # the one sample of its class eight times
    assert len(np.unique(first.reshape(8, -1), axis=0)) > 4
    np.testing.assert_array_equal(first, again)


def test_a_share_for_a_class_without_samples_is_refused(tmp_path: Path, plan_of: Callable[..., Plan]) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 1), np.float32), y=np.array([0, 0, 2, 2]))
    source = sources.get("npz")(train=str(tmp_path / "a.npz"), classes=4)
    for missing, sampling in ((1, (1.0, 1.0, 0.0, 0.0)), (3, (1.0, 0.0, 1.0, 1.0))):
        with pytest.raises(DlrunError, match=f"class {missing}, which has no training sample") as caught:
            Feed(plan_of(source, sampling=sampling, batch_size=2)).order(0)
        assert caught.value.code == "empty-class"
    assert set(Feed(plan_of(source, sampling=(1.0, 0.0, 0.0, 0.0), batch_size=2)).order(0)) <= {0, 1}


@pytest.mark.parametrize("sampling", ["balanced", (1.0, 1.0, 2.0)])
@pytest.mark.parametrize("label", [-1, 255])
def test_labels_of_no_class_are_never_drawn(
    tmp_path: Path, plan_of: Callable[..., Plan], sampling: Any, label: int
) -> None:
    y = np.where(np.arange(1000) % 10 == 3, label, Y)
    np.savez(tmp_path / "b.npz", x=np.arange(1000, dtype=np.float32)[:, None], y=y)
    source = sources.get("npz")(train=str(tmp_path / "b.npz"), classes=3, ignore_label=label)
    loss = losses.get("softmax_cross_entropy")(ignore_index=label)
    order = Feed(plan_of(source, sampling=sampling, loss=loss)).order(0)
    assert len(order) == 1000 and set(y[order]) == {0, 1, 2}
    drawn = np.bincount(y[order]) / 1000
    np.testing.assert_allclose(drawn, [1 / 3] * 3 if sampling == "balanced" else [0.25, 0.25, 0.5], atol=0.06)
