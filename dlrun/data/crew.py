"""Worker processes that prepare training batches, in order and always the same ones."""

from __future__ import annotations

import contextlib
import errno
import json
import mmap
import os
import subprocess
import sys
import tempfile
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from dlrun.data.pipeline import Batch
from dlrun.data.worker import ALIGN
from dlrun.errors import DlrunError, RunError


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_MEMORY = "/dev/shm"
_WAITING = 16


@dataclass(frozen=True)
class Job:
    """One batch to prepare.

    Args:
        rows: Numbers of its samples in the training split.
        keys: What their random changes are drawn by: the same numbers, others where an epoch visits a sample again.
        epoch: Number of the epoch.
    """

    rows: np.ndarray
    keys: np.ndarray
    epoch: int


class Crew:
    """Processes of one's own; batch i goes to process i modulo their number, and comes back in order.

    They share a file in memory with this one: each batch in preparation has a slot of it.

    Args:
        processes: How many.
        what: Result of ``portable.encode``.
        batch_bytes: Size of the largest batch, all arrays together.
        ahead: Batches in preparation at most, at least one and at most 16 for each process: their answers wait in
            a pipe, and one that is full would stop all.

    Raises:
        RunError: ``disk-full`` when there is no room for the batches.
    """

    def __init__(self, processes: int, what: dict[str, Any], batch_bytes: int, ahead: int) -> None:
        self._slot = batch_bytes + 2 * ALIGN
        self._slots = min(max(ahead, processes), _WAITING * processes)
        self._processes: list[subprocess.Popen[str]] = []
        self._finalizer = weakref.finalize(self, _end, self._processes)
        with _shared_file(self._slot * self._slots) as file:
            self._shared = mmap.mmap(file.fileno(), 0)
            for _ in range(processes):
                self._processes.append(_start())
            for process in self._processes:
                _tell(process, {"from": what, "file": file.name})
            for process in self._processes:
                self._heard(process)  # they have opened the file, which may lose its name now

    def batches(self, jobs: Iterable[Job]) -> Iterator[Batch]:
        """The batches of these jobs, prepared ahead, in order."""
        waiting: deque[tuple[int, subprocess.Popen[str]]] = deque()
        try:
            for number, job in enumerate(jobs):
                if len(waiting) == self._slots:
                    yield self._next(waiting)
                process = self._processes[number % len(self._processes)]
                start = number % self._slots * self._slot
                arrays = {"rows": job.rows.tolist(), "keys": job.keys.tolist()}
                _tell(process, {"batch": number, **arrays, "epoch": job.epoch, "start": start})
                waiting.append((number, process))
            while waiting:
                yield self._next(waiting)
        finally:
            for _, process in waiting:  # whoever stops early leaves nothing that the next one would take for its own
                self._heard(process, raising=False)

    def close(self) -> None:
        """End the processes."""
        self._finalizer()

    def _next(self, waiting: deque[tuple[int, subprocess.Popen[str]]]) -> Batch:
        number, process = waiting.popleft()
        said = self._heard(process)
        assert said["batch"] == number
        x, y = (
            np.frombuffer(self._shared, dtype, int(np.prod(shape)), start).reshape(shape).copy()
            for start, dtype, shape in said["arrays"]
        )
        return x, y

    def _heard(self, process: subprocess.Popen[str], raising: bool = True) -> dict[str, Any]:
        assert process.stdout is not None
        line = process.stdout.readline()
        said: dict[str, Any] = json.loads(line) if line else {}
        if not raising:
            return said
        if not said:
            raise _died(process)
        if "error" in said:
            of = said["error"]
            kind = RunError if said["kind"] == "RunError" else DlrunError
            raise kind(of["code"], of["message"], path=tuple(of["path"]), hint=of["hint"])
        return said


@contextlib.contextmanager
def _shared_file(size: int) -> Iterator[IO[bytes]]:
    """A file with room for so many bytes, in memory where there is enough of it."""
    for folder in (_MEMORY, tempfile.gettempdir()):
        if not os.path.isdir(folder):
            continue
        with tempfile.NamedTemporaryFile(prefix="dlrun-batches-", dir=folder) as file:
            if _has_room(file, size):
                yield file
                return
    raise RunError(
        "disk-full",
        f"`{folder}` has no room for the batches that processes prepare, {size / 2**20:,.0f} MB.",
        path=("data", "workers"),
        hint="Use fewer: data.workers=1, or a smaller data.prefetch.",
    )


def _has_room(file: IO[bytes], size: int) -> bool:
    """Make a file so large, if there is room for it."""
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)  # room that is only promised may not be there when written
        else:
            file.truncate(size)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False
    return True


def _start() -> subprocess.Popen[str]:
    # It finds what this process finds, and not what happens to lie in the working folder.
    run = "import sys; sys.path[:] = sys.argv[1:]; from dlrun.data.worker import serve; serve(sys.stdin, sys.stdout)"
    # a session of its own: Ctrl-C is for this process, which ends its workers
    return subprocess.Popen(
        [sys.executable, "-P", "-c", run, *sys.path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )


def _tell(process: subprocess.Popen[str], said: dict[str, Any]) -> None:
    pipe: IO[str] | None = process.stdin
    assert pipe is not None
    try:
        pipe.write(json.dumps(said) + "\n")
        pipe.flush()
    except BrokenPipeError:
        raise _died(process) from None


def _died(process: subprocess.Popen[str]) -> RunError:
    code = process.wait()
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return RunError(
        "worker-died",
        f"a process that prepares samples {how}.",
        path=("data", "workers"),
        hint="If memory ran out (signal 9), use fewer: data.workers=1, or smaller batches.",
    )


def _end(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        if process.stdin is not None:
            with contextlib.suppress(OSError):  # of one that has died
                process.stdin.close()
        try:
            process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
