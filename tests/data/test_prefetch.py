"""The producer thread: order, errors, and that it ends when nobody listens."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from dlrun.data.prefetch import prefetched


def threads() -> int:
    return sum(t.name == "dlrun-prefetch" for t in threading.enumerate())


def test_same_items_in_order() -> None:
    assert list(prefetched(range(100), 3)) == list(range(100))
    assert threads() == 0


def test_items_are_made_in_another_thread_and_not_too_far_ahead() -> None:
    made: list[int] = []
    names: set[str] = set()

    def items() -> Iterator[int]:
        for i in range(50):
            made.append(i)
            names.add(threading.current_thread().name)
            yield i

    running = prefetched(items(), 2)
    assert next(running) == 0
    deadline = time.monotonic() + 5
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert len(made) == 4  # one taken, two waiting, one in hand
    assert names == {"dlrun-prefetch"}
    running.close()
    assert threads() == 0


def test_an_error_comes_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError("lost")

    running = prefetched(items(), 4)
    assert next(running) == 1
    with pytest.raises(KeyError, match="lost"):
        next(running)
    assert threads() == 0


def test_a_consumer_that_leaves_ends_the_thread() -> None:
    for item in prefetched(iter(int, 1), 2):  # endless zeros
        assert item == 0
        break
    deadline = time.monotonic() + 5
    while threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threads() == 0
