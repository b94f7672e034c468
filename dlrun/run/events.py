"""What the runner tells the outside while it works. Listeners draw, log or track; none changes a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class RunStarted:
    """Training begins (or goes on). ``parameters`` are those trained, beside ``frozen`` ones."""

    directory: str
    recipe: str
    backend: str
    device: str
    epochs: int
    steps_per_epoch: int
    step: int
    parameters: int
    train_samples: int
    validation_samples: int
    notes: tuple[str, ...] = ()
    frozen: int = 0


@dataclass(frozen=True)
class Progress:
    """Some updates are done. ``loss`` is the mean since the last event."""

    epoch: int
    step_in_epoch: int
    steps_per_epoch: int
    step: int
    loss: float
    learning_rate: float
    samples_per_s: float


@dataclass(frozen=True)
class EpochEnded:
    """An epoch and its validation are done; ``metrics`` holds ``train_loss``, ``val_loss``, …"""

    epoch: int
    epochs: int
    step: int
    metrics: dict[str, Any]
    seconds: float
    best: bool


@dataclass(frozen=True)
class CheckpointSaved:
    """A checkpoint is on disk."""

    path: str
    step: int


@dataclass(frozen=True)
class Note:
    """Something the user should know, e.g. a recomputed schedule."""

    text: str


@dataclass(frozen=True)
class RunEnded:
    """Training is over. ``reason``: finished, early_stopping, interrupted."""

    directory: str
    reason: str
    step: int
    metrics: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


Event = RunStarted | Progress | EpochEnded | CheckpointSaved | Note | RunEnded
Listener = Callable[[Event], None]
