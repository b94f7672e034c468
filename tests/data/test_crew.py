"""Batches prepared by other processes: the same bits, in order, and no process left behind."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlrun.data.augmentation import augmentations
from dlrun.data.feed import Feed
from dlrun.data.portable import decode, encode
from dlrun.data.source import Place, Samples, sources
from dlrun.errors import DlrunError, RunError
from dlrun.plan import Plan

RNG = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """70 small pictures of two classes."""
    for number in range(70):
        place = tmp_path / "train" / ("größe" if number % 3 else "b")
        place.mkdir(parents=True, exist_ok=True)
        pixels = RNG.integers(0, 256, (9, 9, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number:03}.png")
    return tmp_path


@pytest.fixture
def feed(folder: Path, plan_of: Callable[..., Plan]) -> Iterator[Callable[..., Feed]]:
    """A feed of these pictures, augmented, that reads them while training."""
    made: list[Feed] = []

    def make(workers: int | None, **data: Any) -> Feed:
        source = sources.get("image_folder")(size=80, test=None)
        data.setdefault("augment", (augmentations.get("random_flip")(axis="both"),))
        plan = plan_of(source, workers=workers, root=str(folder), **{"batch_size": 16, "memory_mb": 1, **data})
        made.append(Feed(plan))
        return made[-1]

    yield make
    for one in made:
        one.close()


def epochs(feed: Feed, count: int = 2) -> list[tuple[np.ndarray, np.ndarray]]:
    return [batch for epoch in range(count) for batch in feed.batches(epoch)]


def assert_same(ours: list[tuple[np.ndarray, np.ndarray]], theirs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    assert len(ours) == len(theirs)
    for (x, y), (u, v) in zip(ours, theirs, strict=True):
        assert x.dtype == u.dtype and y.dtype == v.dtype
        np.testing.assert_array_equal(x, u)
        np.testing.assert_array_equal(y, v)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_batches_do_not_depend_on_the_number_of_processes(feed: Callable[..., Feed], workers: int) -> None:
    expected = epochs(feed(0, validation=10))
    assert len(expected) == 8 and expected[3][0].shape == (12, 80, 80, 3)
    assert not np.array_equal(expected[0][0], expected[4][0])
    other = feed(workers, validation=10)
    assert_same(epochs(other), expected)
    assert_same(list(other.batches(1, 2, 1)), expected[6:7])
    assert other._crew is not None and len(other._crew._processes) == workers


def test_stopping_in_the_middle_does_not_disturb_what_follows(feed: Callable[..., Feed]) -> None:
    expected, other = epochs(feed(0)), feed(2)
    stream = other.batches(0)
    assert_same([next(stream)], expected[:1])
    stream.close()
    assert_same(list(other.batches(1)), expected[5:])


def test_samples_in_memory_give_the_same_batches(feed: Callable[..., Feed]) -> None:
    whole = feed(0, memory_mb=100)
    assert_same(epochs(feed(2)), epochs(whole))
    assert not isinstance(feed(0).reader("train"), Samples) and isinstance(whole.reader("train"), Samples)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_file_that_breaks_while_training_is_named(feed: Callable[..., Feed], folder: Path, workers: int) -> None:
    other = feed(workers)
    (folder / "train" / "b" / "003.png").write_text("not an image")
    with pytest.raises(DlrunError) as caught:
        epochs(other, 1)
    assert caught.value.code == "unreadable-image" and "003.png" in caught.value.message


def test_a_process_that_was_killed_stops_training(feed: Callable[..., Feed]) -> None:
    other = feed(2)
    next(other.batches(0))
    assert other._crew is not None
    process = other._crew._processes[1]
    process.kill()
    process.wait()
    with pytest.raises(RunError) as caught:
        epochs(other, 1)
    assert caught.value.code == "worker-died" and "signal 9" in caught.value.message
    assert "data.workers=1" in (caught.value.hint or "")


def test_no_more_batches_are_ahead_than_a_pipe_can_tell_of(feed: Callable[..., Feed]) -> None:
    other = feed(1, prefetch=5000, batch_size=1)
    assert len(list(other.batches(0))) == other.size("train")
    assert other._crew is not None and other._crew._slots == 16


def test_files_of_the_working_folder_are_not_imported(
    feed: Callable[..., Feed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    assert len(epochs(feed(2), 1)) == 5


@pytest.mark.parametrize("room", ["elsewhere", "nowhere"])
def test_a_small_memory_file_system(feed: Callable[..., Feed], room: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container, where it often has 64 MB."""
    reserve, places = os.posix_fallocate, []

    def full(handle: int, offset: int, length: int) -> None:
        places.append(os.path.dirname(os.readlink(f"/proc/self/fd/{handle}")))
        if len(places) == 1 or room == "nowhere":
            raise OSError(errno.ENOSPC, "No space left on device")
        reserve(handle, offset, length)

    monkeypatch.setattr(os, "posix_fallocate", full)
    if room == "elsewhere":
        assert_same(epochs(feed(2)), epochs(feed(0)))
    else:
        with pytest.raises(RunError, match="no room for the batches"):
            epochs(feed(2))
    assert places == ["/dev/shm", tempfile.gettempdir()]


def test_processes_end_with_the_feed(feed: Callable[..., Feed]) -> None:
    other = feed(2)
    next(other.batches(0))
    assert other._crew is not None
    processes = other._crew._processes
    other.close()
    assert [p.returncode for p in processes] == [0, 0]


def test_processes_end_with_the_one_that_started_them(folder: Path) -> None:
    """Killed, a training has no time to say so."""
    text = f"""
import sys
from dlrun.data.crew import Crew
from dlrun.data.portable import encode
from dlrun.data.pipeline import Pipeline
from dlrun.data.source import Place, Samples, sources
from dlrun.data.preprocessing import Preprocessing
source = sources.get("image_folder")(size=8, test=None)
how = Preprocessing.begin(1.0, 3)
crew = Crew(2, encode(source, Place({str(folder)!r}), Pipeline(0, (), how, "float32", "float32", None, 255.0)), 4096, 4)
print(*(p.pid for p in crew._processes), flush=True)
sys.stdin.read()
"""
    parent = subprocess.Popen([sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    workers = [int(word) for word in parent.stdout.readline().split()]
    assert len(workers) == 2 and all(map(alive, workers))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    until = time.monotonic() + 30
    while any(map(alive, workers)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(alive, workers))


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_what_travels_comes_back_as_it_was(feed: Callable[..., Feed]) -> None:
    plan = feed(0).plan
    said = encode(plan.recipe.data.source, Place("somewhere", False, plan.signature), plan.pipeline)
    assert said is not None
    source, place, pipeline = decode(said)
    assert source == plan.recipe.data.source and place == Place("somewhere", False, plan.signature)
    assert pipeline.augment == plan.recipe.data.augment and pipeline.seed == plan.recipe.seed
    np.testing.assert_array_equal(pipeline.preprocessing.offset, plan.preprocessing.offset)


@pytest.mark.parametrize("workers", [0, 2])
def test_augmentations_within_augmentations_travel_too(feed: Callable[..., Feed], workers: int) -> None:
    one = augmentations.get("random_choice")(
        augment=(augmentations.get("random_flip")(), augmentations.get("random_crop")(padding=3))
    )
    other = feed(workers, augment=(one,))
    assert_same(epochs(other, 1), epochs(feed(1, augment=(one,)), 1))
    assert (other._crew is None) == (workers == 0)


def test_code_of_ones_own_stays_in_this_process(feed: Callable[..., Feed]) -> None:
    flip = augmentations.get("random_flip")
    own = type("Own", (flip,), {"__module__": "elsewhere"})
    other = feed(2, augment=(own(),))
    assert len(epochs(other, 1)) == 5 and other._crew is None
