"""Curves for TensorBoard, written without either framework.

The event writer is used without its background thread, so that a full disk is an error of the
run and not a traceback of a thread.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any


class TensorBoard:
    """Appends scalars to an event file in ``folder``."""

    def __init__(self, folder: Path) -> None:
        from tensorboardX.event_file_writer import EventsWriter

        folder.mkdir(exist_ok=True)
        self._writer = EventsWriter(str(folder / "events"))

    def scalars(self, values: dict[str, Any], step: int) -> None:
        """Write every finite number among ``values``."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        found = [
            Summary.Value(tag=tag, simple_value=float(value))
            for tag, value in values.items()
            if isinstance(value, int | float) and math.isfinite(value)
        ]
        if found:
            self._writer.write_event(Event(wall_time=time.time(), step=step, summary=Summary(value=found)))

    def flush(self) -> None:
        """Make what was written visible."""
        self._writer.flush()

    def close(self) -> None:
        """End the file."""
        self._writer.close()


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
