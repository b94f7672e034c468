"""Writing checkpoints beside training: syncing files to disk need not hold up the next updates."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class Writer:
    """Does one task at a time in a thread; an error appears at the next ``wait``."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._pending: Future[Any] | None = None

    def wait(self) -> Any:
        """Result of the task in progress, or None; raises what it raised."""
        pending, self._pending = self._pending, None
        return None if pending is None else pending.result()

    def start(self, task: Callable[[], Any]) -> None:
        """Begin a task; the one before must have been waited for."""
        assert self._pending is None
        self._pending = self._thread.submit(task)

    def close(self) -> None:
        """Let the task in progress end, whatever becomes of it."""
        self._thread.shutdown(wait=True)
