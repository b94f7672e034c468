"""A process that prepares training batches: ``python -m dlrun.data.worker``.

It is told on standard input, a JSON object a line: first what to prepare from, then one batch after another, each
with the place in a shared file where its arrays belong. It answers a line for each. No framework is imported.
"""

from __future__ import annotations

import json
import mmap
import os
import sys
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
        rows = np.array(job["rows"], np.int64)
        try:
            batch = pipeline.training(reader.take(rows), reader.y[rows], rows, job["epoch"])
        except DlrunError as error:
            _say(answers, {"batch": job["batch"], **_told(error)})
            continue
        start, placed = job["start"], []
        for array in batch:
            view = np.frombuffer(shared, array.dtype, array.size, start)
            view[:] = array.reshape(-1)
            placed.append([start, str(array.dtype), array.shape])
            start += -(-array.nbytes // ALIGN) * ALIGN
        _say(answers, {"batch": job["batch"], "arrays": placed})


def _told(error: DlrunError) -> dict[str, Any]:
    kept = {"code": error.code, "message": error.message, "path": list(error.path), "hint": error.hint}
    return {"error": kept, "kind": type(error).__name__}


def _say(answers: IO[str], said: dict[str, Any]) -> None:
    answers.write(json.dumps(said) + "\n")
    answers.flush()


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)
