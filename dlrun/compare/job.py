"""What a comparison asks of a process of its own, and what that process answers."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Job:
    """Work for one process, which imports one framework.

    Args:
        what: ``record`` trains a few updates and keeps their arrays; ``speed`` measures a plain training.
        backend: The framework.
        overrides: The recipe and its overrides, without backend and precision.
        config_dir: The user's own folder of recipes and groups.
        threads: CPU threads.
        folder: Where recordings go.
        steps: Updates to record, by precision; precisions not named are not recorded.
        seeds: Repetitions from weights moved by one unit in the last place, by precision.
    """

    what: Literal["record", "speed"]
    backend: str
    overrides: tuple[str, ...]
    config_dir: str | None
    threads: int
    folder: str
    steps: dict[str, int] = dataclasses.field(default_factory=dict)
    seeds: dict[str, int] = dataclasses.field(default_factory=dict)

    def words(self, dtype: str | None = None) -> list[str]:
        """All overrides of a training; with ``dtype`` those that make backends comparable, else the recipe's own."""
        same = [f"precision={dtype}", "train.portable_dropout=true"] if dtype is not None else []
        return [*self.overrides, f"backend={self.backend}", f"device.threads={self.threads}", *same]

    def write(self, path: Path) -> None:
        """Keep the job where its process finds it."""
        path.write_text(json.dumps(dataclasses.asdict(self)))


def read_job(path: Path) -> Job:
    """A job that ``Job.write`` kept."""
    values: dict[str, Any] = json.loads(path.read_text())
    values["overrides"] = tuple(values["overrides"])
    return Job(**values)
