"""Long waits for data, told while they last to whoever draws them; to nobody, unless a command does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Protocol


class Tell(Protocol):
    """Told of progress: at what, how much is done, of how much if that is known, and whether these are bytes."""

    def __call__(self, what: str, done: int, of: int | None, in_bytes: bool = False) -> None: ...


Drawing = Callable[[], AbstractContextManager[Tell]]


def _ignore(what: str, done: int, of: int | None, in_bytes: bool = False) -> None:
    pass


_drawing: ContextVar[Drawing] = ContextVar("drawing", default=lambda: nullcontext(_ignore))


@contextmanager
def drawn_by(drawing: Drawing) -> Iterator[None]:
    """Have each wait in the block drawn by what ``drawing`` gives for it."""
    before = _drawing.set(drawing)
    try:
        yield
    finally:
        _drawing.reset(before)


@contextmanager
def waiting(what: str, *, in_bytes: bool = False) -> Iterator[Callable[[int, int | None], None]]:
    """Gives what is to be told how much is done, and of how much."""
    with _drawing.get()() as tell:
        yield lambda done, of: tell(what, done, of, in_bytes)
