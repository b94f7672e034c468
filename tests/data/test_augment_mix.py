"""Mixed samples and labels, by hand; each with the one before it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlrun.data.augment.mix import CutMix, Mixup
from dlrun.data.draws import Draws
from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType

RNG = np.random.default_rng(0)


def draws(samples: int, epoch: int = 0, rows: np.ndarray | None = None) -> Draws:
    return Draws(0, epoch, np.arange(samples) if rows is None else rows, "a")


def one_hot(samples: int, classes: int = 5, dtype: Any = np.float32) -> np.ndarray:
    return np.eye(classes, dtype=dtype)[np.arange(samples) % classes]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3,), (4, 5, 2)])
def test_mixup_blends_with_the_one_before(dtype: Any, shape: tuple[int, ...]) -> None:
    x, y = RNG.normal(size=(20, *shape)).astype(dtype), one_hot(20, dtype=dtype)
    kept = draws(20).beta("share", 0.4).astype(dtype)
    mixed, shares = Mixup(alpha=0.4).mix(x, y, draws(20))
    assert mixed.dtype == shares.dtype == dtype
    for i in range(20):
        np.testing.assert_allclose(mixed[i], kept[i] * x[i] + (1 - kept[i]) * x[i - 1], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(shares[i], kept[i] * y[i] + (1 - kept[i]) * y[i - 1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)


def test_cutmix_takes_a_rectangle_of_the_one_before_and_its_share_of_the_label() -> None:
    x = np.broadcast_to(np.arange(2000, dtype=np.float32)[:, None, None, None], (2000, 12, 16, 2)).copy()
    y = one_hot(2000)
    mixed, shares = CutMix().mix(x, y, draws(2000))
    taken = mixed != x
    assert (taken[..., 0] == taken[..., 1]).all()
    taken = taken[..., 0]
    before = np.roll(x, 1, axis=0)
    assert (mixed[taken] == before[taken]).all()
    rows, columns = taken.any(axis=2), taken.any(axis=1)
    np.testing.assert_array_equal(taken, rows[:, :, None] & columns[:, None, :])
    share = 1 - taken.mean(axis=(1, 2))
    np.testing.assert_allclose(shares[np.arange(2000), np.arange(2000) % 5], share, rtol=1e-5)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    assert share.min() < 0.1 and share.max() == 1.0  # some are nearly exchanged, some hardly touched


def test_the_rectangle_is_sqrt_of_the_share_long_and_centred_evenly() -> None:
    x, y = RNG.normal(size=(3000, 40, 60, 1)).astype(np.float32), one_hot(3000)
    taken = (CutMix(alpha=2.0).mix(x, y, draws(3000))[0] != x)[..., 0]
    rows, columns = taken.any(axis=2).sum(axis=1), taken.any(axis=1).sum(axis=1)
    side = np.sqrt(1 - draws(3000).beta("share", 2.0))
    inside = ~(taken[:, 0].any(axis=1) | taken[:, -1].any(axis=1) | taken[:, :, 0].any(axis=1))
    inside &= ~taken[:, :, -1].any(axis=1)
    assert inside.sum() > 100
    assert np.abs(rows[inside] - 40 * side[inside]).max() <= 1.001
    assert np.abs(columns[inside] - 60 * side[inside]).max() <= 1.001
    cover = taken.mean(axis=0)
    np.testing.assert_allclose(cover, cover[::-1, ::-1], atol=0.08)
    assert cover[20, 30] > cover[0, 0]


@pytest.mark.parametrize("kind", [Mixup, CutMix])
def test_a_sample_s_share_is_its_own_whatever_the_batch(kind: Any) -> None:
    """Beside the same neighbour a sample comes out the same."""
    x, y = RNG.normal(size=(9, 6, 6, 1)).astype(np.float32), one_hot(9)
    whole, shares = kind().mix(x, y, draws(9))
    some = np.array([2, 3, 7, 8])
    part, part_shares = kind().mix(x[some], y[some], draws(4, rows=some))
    for place in (1, 3):  # 3 follows 2 and 8 follows 7 in both batches
        np.testing.assert_array_equal(part[place], whole[some[place]])
        np.testing.assert_array_equal(part_shares[place], shares[some[place]])
    other, _ = kind().mix(x, y, draws(9, epoch=1))
    assert (other != whole).any()


@pytest.mark.parametrize("kind", [Mixup, CutMix])
def test_a_lone_sample_mixes_with_itself_and_nothing_given_is_changed(kind: Any) -> None:
    x, y = RNG.normal(size=(5, 6, 6, 1)).astype(np.float32), one_hot(5)
    before = x.copy(), y.copy()
    x.setflags(write=False)
    y.setflags(write=False)
    mixed, shares = kind().mix(x, y, draws(5))
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(y, before[1])
    assert not np.shares_memory(mixed, x) and not np.shares_memory(shares, y)
    alone, label = kind().mix(x[:1], y[:1], draws(1))
    np.testing.assert_allclose(alone, x[:1], rtol=1e-6)
    np.testing.assert_allclose(label, y[:1], rtol=1e-6)


@pytest.mark.parametrize("kind", [Mixup, CutMix])
def test_probability_leaves_samples_whole(kind: Any) -> None:
    x, y = RNG.normal(size=(2000, 6, 6, 1)).astype(np.float32), one_hot(2000)
    mixed, shares = kind(alpha=1.0, probability=0.3).mix(x, y, draws(2000))
    whole = (mixed == x).all(axis=(1, 2, 3))
    assert (shares[whole] == y[whole]).all()
    assert 0.66 < whole.mean() < (0.74 if kind is Mixup else 0.78)  # small rectangles may take no pixel


def test_ids_and_samples_without_places_are_refused() -> None:
    with pytest.raises(DlrunError, match=r"`mixup` mixes numbers, but samples are ids \(N, 5\)") as caught:
        Mixup().infer(TensorType((5,), "int"))
    assert caught.value.code == "wrong-dtype"
    with pytest.raises(
        DlrunError, match=r"`cutmix` needs images \(N, height, width, channels\), got \(N, 5\)"
    ) as caught:
        CutMix().infer(TensorType((5,)))
    assert caught.value.code == "wrong-rank"
