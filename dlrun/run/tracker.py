"""Curves for TensorBoard, written without either framework.

Records are written without TensorBoard's background thread, so that a full disk is an error of
the run and not a traceback of a thread.
"""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any


class TensorBoard:
    """Appends scalars to an event file in ``folder``."""

    def __init__(self, folder: Path) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        folder.mkdir(exist_ok=True)
        started = time.time()
        self._file = open(folder / f"events.out.tfevents.{started:.6f}.{os.getpid()}", "xb")  # noqa: SIM115 - see close
        self._records = RecordWriter(self._file)
        self._records.write(Event(wall_time=started, file_version="brain.Event:2").SerializeToString())

    def scalars(self, values: dict[str, Any], step: int) -> None:
        """Write every finite number among ``values``."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        found = [
            Summary.Value(tag=tag, simple_value=float(value))
            for tag, value in values.items()
            if isinstance(value, int | float) and math.isfinite(value)
        ]
        if found:
            event = Event(wall_time=time.time(), step=step, summary=Summary(value=found))
            self._records.write(event.SerializeToString())

    def flush(self) -> None:
        """Make what was written visible."""
        self._file.flush()

    def close(self) -> None:
        """End the file."""
        self._file.close()


class NoTracker:
    """Writes nothing."""

    def scalars(self, values: dict[str, Any], step: int) -> None:
        """Nothing."""

    def flush(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def make_tracker(name: str, folder: Path) -> TensorBoard | NoTracker:
    """The tracker a recipe chose."""
    return TensorBoard(folder) if name == "tensorboard" else NoTracker()
