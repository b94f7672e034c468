"""What a process does that prepares training batches.

It is told on standard input, a JSON object a line: first what to prepare from, then one batch after another, each
with the place in a shared file where its arrays belong. It answers a line for each. No framework is imported.
"""

from __future__ import annotations

import json
import math
import mmap
import os
from typing import IO, Any

import numpy as np

from dlrun.data.portable import decode
from dlrun.data.source import Split
from dlrun.errors import DlrunError

ALIGN = 64
"""Arrays in the shared file begin at multiples of so many bytes."""


def serve(asked: IO[str], answers: IO[str]) -> None:
    """Prepare batches until standard input ends."""
    first = json.loads(asked.readline())
    split: Split = "train"
    try:
        source, place, pipeline = decode(first["from"])
        reader = source.open(split, place)
    except DlrunError as error:
        _say(answers, _told(error))
        return
    with open(first["file"], "r+b") as file:
        shared = mmap.mmap(file.fileno(), 0)
    _say(answers, {"ready": os.getpid()})
    for line in asked:
        job = json.loads(line)
        rows, keys = (np.array(job[name], np.int64) for name in ("rows", "keys"))
        room = _Room(shared, job["start"])
        try:
            batch = pipeline.training(reader.take(rows), reader.y[rows], keys, job["epoch"], room.empty)
        except DlrunError as error:
            _say(answers, {"batch": job["batch"], **_told(error)})
            continue
        _say(answers, {"batch": job["batch"], "arrays": [room.place(array) for array in batch]})


class _Room:
    """A batch's part of the shared file."""

    def __init__(self, shared: mmap.mmap, start: int) -> None:
        self._shared = shared
        self._end = start
        self._given: dict[int, tuple[int, np.ndarray]] = {}

    def empty(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """A new array there."""
        start = self._end
        array = np.frombuffer(self._shared, dtype, math.prod(shape), start).reshape(shape)
        self._end += -(-array.nbytes // ALIGN) * ALIGN
        self._given[id(array)] = start, array
        return array

    def place(self, array: np.ndarray) -> tuple[int, str, tuple[int, ...]]:
        """Where an array begins, its dtype and its shape; one from elsewhere is copied."""
        if id(array) not in self._given:
            copy = self.empty(array.shape, str(array.dtype))
            copy[...] = array
            array = copy
        return self._given[id(array)][0], str(array.dtype), array.shape


def _told(error: DlrunError) -> dict[str, Any]:
    kept = {"code": error.code, "message": error.message, "path": list(error.path), "hint": error.hint}
    return {"error": kept, "kind": type(error).__name__}


def _say(answers: IO[str], said: dict[str, Any]) -> None:
    answers.write(json.dumps(said) + "\n")
    answers.flush()
