"""Splits, order and batches: the same whether samples are resident or streamed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlrun.data.augmentation import augmentations
from dlrun.data.feed import Feed
from dlrun.data.source import Place, Source, sources
from dlrun.errors import DlrunError
from dlrun.randomness import epoch_order


@pytest.fixture
def digits() -> Source:
    return sources.get("digits")()


@pytest.fixture
def pictures(tmp_path: Path) -> Source:
    """Forty images in three classes, no test split."""
    rng = np.random.default_rng(1)
    for i in range(40):
        path = tmp_path / "train" / f"класс {i % 3}" / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(path)
    return sources.get("image_folder")(train=str(tmp_path / "train"), test=None, size=8)


def streamed(feed: Feed, monkeypatch: pytest.MonkeyPatch, *, decode: bool = False) -> Feed:
    """The same feed with no room for preprocessed samples, nor (``decode``) for stored ones."""
    room = {"uint8": not decode}
    monkeypatch.setattr(feed, "_fits", lambda samples, values, dtype: room.get(dtype, False))
    assert not feed.resident
    return feed


def test_split_sizes_and_contents(digits: Source, plan_of: Any) -> None:
    feed = Feed(plan_of(digits, validation=300))
    x, y = feed.validation()
    assert (feed.size("train"), feed.size("validation"), feed.size("test")) == (1200, 300, 297)
    assert feed.resident
    assert feed.x.shape == (1200, 8, 8, 1)
    assert (feed.x.dtype, feed.y.dtype, x.shape, y.shape) == (np.float32, np.int64, (300, 8, 8, 1), (300,))
    stored = digits.load("train", Place())
    everything = np.concatenate([feed.x, x]).reshape(1500, -1)
    expected = ((stored.x.astype(np.float64) / 16 - 0.25) / 0.5).astype(np.float32).reshape(1500, -1)
    np.testing.assert_allclose(
        everything[np.lexsort(everything.T)], expected[np.lexsort(expected.T)], rtol=0, atol=1e-6
    )
    np.testing.assert_array_equal(feed.test()[1], digits.load("test", Place()).y)


def test_held_out_samples_depend_on_the_seed_alone(digits: Source, plan_of: Any) -> None:
    def labels(**fields: Any) -> list[int]:
        return Feed(plan_of(digits, validation=100, **fields)).validation()[1].tolist()

    assert labels() == labels(batch_size=7, shuffle=False, preprocess=())
    assert labels() != labels(seed=1)


def test_the_split_stays_what_it_is(digits: Source, plan_of: Any) -> None:
    """Written down: another numpy or another release must hold out the same samples."""
    rows = Feed(plan_of(digits, validation=5))._rows("validation").tolist()
    assert rows == [134, 244, 316, 405, 595]


@pytest.mark.parametrize("decode", [False, True])
@pytest.mark.parametrize("precision", ["float32", "float64", "bfloat16"])
def test_streamed_batches_are_the_resident_ones(
    pictures: Source, plan_of: Any, monkeypatch: pytest.MonkeyPatch, decode: bool, precision: str
) -> None:
    plan = plan_of(pictures, validation=0.1, batch_size=8, precision=precision)
    resident, stream = Feed(plan), streamed(Feed(plan), monkeypatch, decode=decode)
    assert resident.resident
    assert resident.x.dtype == plan.array_dtype
    for epoch in (0, 3):
        order = resident.order(epoch)
        np.testing.assert_array_equal(order, epoch_order(0, epoch, 36))
        batches = list(stream.batches(epoch))
        assert [len(x) for x, _ in batches] == [8, 8, 8, 8, 4]
        for i, (x, y) in enumerate(batches):
            rows = order[i * 8 : (i + 1) * 8]
            np.testing.assert_array_equal(x, resident.x[rows])
            np.testing.assert_array_equal(y, resident.y[rows])
            assert x.dtype == resident.x.dtype
            assert x.flags.c_contiguous
    for part in ("train", "validation"):
        for a, b in zip(resident.eval_batches(part), stream.eval_batches(part), strict=True):
            np.testing.assert_array_equal(a[0], b[0])
            np.testing.assert_array_equal(a[1], b[1])


def test_a_stretch_of_an_epoch(digits: Source, plan_of: Any) -> None:
    feed = Feed(plan_of(digits, batch_size=100))
    whole = list(feed.batches(2))
    part = list(feed.batches(2, first_batch=13, count=4))
    assert len(part) == 2
    for (x, y), (a, b) in zip(whole[13:], part, strict=True):
        np.testing.assert_array_equal(x, a)
        np.testing.assert_array_equal(y, b)
    assert len(list(feed.batches(2, first_batch=1, count=3))) == 3
    assert list(feed.batches(2, first_batch=15)) == []


def test_without_shuffling(digits: Source, plan_of: Any) -> None:
    feed = Feed(plan_of(digits, shuffle=False))
    np.testing.assert_array_equal(feed.order(5), np.arange(1500))


def test_memory_decides(plan_of: Any) -> None:
    mnist = sources.get("mnist")()
    assert Feed(plan_of(mnist, memory_mb=180)).resident  # 60,000 * 784 * 4 bytes = 179.4 MiB
    assert not Feed(plan_of(mnist, memory_mb=179)).resident
    assert not Feed(plan_of(mnist, memory_mb=180, precision="float64")).resident


def test_eval_batches(digits: Source, plan_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = Feed(plan_of(digits, eval_batch_size=100))
    assert [len(x) for x, _ in feed.eval_batches("test")] == [100, 100, 97]
    assert [len(y) for _, y in feed.eval_batches("test", limit=2)] == [100, 100]
    np.testing.assert_array_equal(np.concatenate([x for x, _ in feed.eval_batches("test")]), feed.test()[0])
    limited = Feed(plan_of(digits, eval_batch_size=100))
    next(iter(limited.eval_batches("test", limit=1)))
    assert limited._whole == {}  # nothing beyond the limit was prepared


def test_no_such_samples(pictures: Source, plan_of: Any) -> None:
    feed = Feed(plan_of(pictures, batch_size=8))
    for part, words in (("test", "split=validation"), ("validation", "data.validation")):
        with pytest.raises(DlrunError, match=f"missing-split.*`{part}`.*{words}"):
            feed.eval_batches(part)


def test_stored_samples(digits: Source, pictures: Source, plan_of: Any) -> None:
    feed = Feed(plan_of(digits, validation=100))
    stored = feed.stored_validation(3)
    assert stored.dtype == np.uint8
    np.testing.assert_allclose((stored / 16 - 0.25) / 0.5, feed.validation()[0][:3], atol=1e-6)
    assert len(feed.stored_validation(1000)) == 100
    test = Feed(plan_of(digits)).stored_validation(4)
    np.testing.assert_array_equal(test, digits.load("test", Place()).x[:4])
    assert Feed(plan_of(pictures, batch_size=8)).stored_validation(4).shape == (4, 8, 8, 3)


def test_numbers_take_the_model_precision(tmp_path: Path, plan_of: Any) -> None:
    np.savez(tmp_path / "a.npz", x=np.arange(30.0).reshape(10, 3), y=np.arange(10) / 3)
    source = sources.get("npz")(train=str(tmp_path / "a.npz"))
    for precision in ("float32", "float64"):
        feed = Feed(plan_of(source, units=1, precision=precision, batch_size=4))
        assert feed.x.dtype == feed.y.dtype == precision
        x, y = next(iter(feed.batches(0)))
        assert x.dtype == y.dtype == precision
    np.testing.assert_allclose(feed.x, (np.arange(30.0).reshape(10, 3) - 0.25) / 0.5)


def test_fingerprint_sees_labels_and_samples(tmp_path: Path, plan_of: Any) -> None:
    def print_of(x: np.ndarray, y: np.ndarray) -> str:
        np.savez(tmp_path / "a.npz", x=x, y=y)
        return Feed(plan_of(sources.get("npz")(train=str(tmp_path / "a.npz"), classes=3), batch_size=2)).fingerprint()

    x, y = np.arange(30.0).reshape(10, 3), np.arange(10) % 3
    first = print_of(x, y)
    assert first == print_of(x, y)
    assert len(first) == 64
    assert len({first, print_of(x + 1, y), print_of(x, (y + 1) % 3)}) == 3


def test_data_that_changed_meanwhile(tmp_path: Path, plan_of: Any) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=np.zeros((10, 3)), y=np.arange(10) % 3)
    plan = plan_of(sources.get("npz")(train=str(path)), batch_size=2)
    np.savez(path, x=np.zeros((9, 3)), y=np.zeros(9, int))
    with pytest.raises(DlrunError, match="data-changed.*9 samples.*had 10"):
        _ = Feed(plan).x
    np.savez(path, x=np.zeros((10, 3)), y=np.arange(10))
    with pytest.raises(DlrunError, match="label-out-of-range.*`9`.*from 0 to 2"):
        Feed(plan).batches(0)
    np.savez(path, x=np.zeros((10, 3)), y=np.arange(10) % 3 - 1)
    with pytest.raises(DlrunError, match="label-out-of-range.*`-1`.*from 0 to 2"):
        Feed(plan).batches(0)


def test_a_bad_image_stops_the_stream(
    tmp_path: Path, pictures: Source, plan_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train" / "класс 1" / "22.png").write_bytes(b"broken")
    feed = streamed(Feed(plan_of(pictures, batch_size=4)), monkeypatch, decode=True)
    with pytest.raises(DlrunError, match="unreadable-image.*22.png"):
        list(feed.batches(0))


def test_importing_the_feed_loads_no_framework() -> None:
    code = "import sys, dlrun.data.feed; print([m for m in ('torch', 'tensorflow', 'PIL') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_memory_is_counted_as_the_model_reads_samples(pictures: Source, plan_of: Any) -> None:
    larger = augmentations.get("random_resized_crop")(size=160)
    fields = {"batch_size": 8, "validation": 10, "memory_mb": 1}
    assert Feed(plan_of(pictures, **fields)).holds("validation")  # 10 * 8 * 8 * 3 * 4 bytes
    assert not Feed(plan_of(pictures, augment=(larger,), **fields)).holds("validation")  # 400 times as many
