"""Checkpoints: everything a run needs to go on, on either backend; no pickle.

A checkpoint is a folder ``step-<updates>`` with ``weights.safetensors``, ``slots.safetensors`` and
``ema.safetensors`` (canonical names and layout) and ``state.json``, which names the format version
and holds each file's size and SHA-256 and a SHA-256 of itself.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dlrun import __version__
from dlrun.backends.base import EngineState
from dlrun.errors import RunError
from dlrun.files import write_folder, write_synced
from dlrun.run.directory import CHECKPOINT

FORMAT = 1
_ARRAYS = ("weights", "slots", "ema")


@dataclass
class Position:
    """Where a run stands, apart from its arrays.

    Args:
        step: Updates completed.
        epoch: Epochs completed.
        step_in_epoch: Updates completed of the epoch in progress.
        loss_sum: Sum over the epoch's samples so far of their batch's loss.
        loss_count: Samples in ``loss_sum``.
        window_sum: Sum of losses since the last logged step.
        window_count: Updates in ``window_sum``.
        best: ``{"step", "monitor", "value"}`` or None.
        stale_epochs: Epochs since the best one.
        finished: Whether the run had come to its end.
        schedule: What the schedule remembers of past validations, or None.
    """

    step: int = 0
    epoch: int = 0
    step_in_epoch: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    window_sum: float = 0.0
    window_count: int = 0
    best: dict[str, Any] | None = None
    stale_epochs: int = 0
    finished: bool = False
    schedule: dict[str, Any] | None = None


@dataclass
class Checkpoint:
    """A loaded checkpoint.

    Args:
        path: Its folder.
        position: Where the run stood.
        engine: Arrays and scalars.
        facts: What wrote it: backend, precision, threads, versions, total updates planned.
    """

    path: Path
    position: Position
    engine: EngineState
    facts: dict[str, Any] = field(default_factory=dict)


def save(folder: Path, position: Position, engine: EngineState, facts: dict[str, Any]) -> Path:
    """Write a checkpoint in one visible step.

    Args:
        folder: The run's checkpoint folder.
        position: Where the run stands.
        engine: The engine's state.
        facts: JSON-ready record of what wrote it.

    Raises:
        OSError: When it cannot be written; nothing is left behind.
    """
    from safetensors.numpy import save as to_bytes

    path = folder / f"step-{position.step:08d}"

    def fill(temporary: Path) -> None:
        files = {}
        for name in _ARRAYS:
            arrays = {k: np.asarray(v, order="C") for k, v in getattr(engine, name).items()}
            if not arrays:
                continue
            data = to_bytes(arrays, metadata={"dlrun_format": str(FORMAT)})
            write_synced(temporary / f"{name}.safetensors", data)
            files[f"{name}.safetensors"] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        state = {
            "format": FORMAT,
            "dlrun": __version__,
            "position": asdict(position),
            "scalars": engine.scalars,
            "facts": facts,
            "files": files,
        }
        state["sha256"] = _digest(state)
        write_synced(temporary / "state.json", (json.dumps(state, indent=2) + "\n").encode())

    write_folder(path, fill)
    return path


def load(path: Path, *, training: bool = True) -> Checkpoint:
    """Read and verify a checkpoint.

    Args:
        path: Its folder.
        training: Whether optimizer slots are needed too.

    Raises:
        RunError: ``checkpoint-corrupt`` or ``checkpoint-format``; the hint names the newest good one.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    state = _read_state(path)
    arrays: dict[str, dict[str, np.ndarray]] = {name: {} for name in _ARRAYS}
    for name in _ARRAYS:
        entry = state["files"].get(f"{name}.safetensors")
        if entry is None or (name == "slots" and not training):
            continue
        data = _read(path / f"{name}.safetensors", path)
        if len(data) != entry["bytes"]:
            raise _corrupt(path, f"{name}.safetensors has {len(data)} bytes instead of {entry['bytes']}")
        if hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise _corrupt(path, f"{name}.safetensors has another SHA-256 than recorded")
        try:
            arrays[name] = from_bytes(data)
        except SafetensorError as error:
            raise _corrupt(path, f"{name}.safetensors cannot be read ({error})") from None
    engine = EngineState(arrays["weights"], arrays["slots"], arrays["ema"], state["scalars"])
    return Checkpoint(path, Position(**state["position"]), engine, state["facts"])


def is_good(path: Path) -> bool:
    """Whether a checkpoint would load."""
    try:
        load(path)
    except RunError:
        return False
    return True


def prune(folder: Path, keep: int, step: int, best_step: int | None) -> None:
    """Delete all but the latest ``keep`` checkpoints up to ``step`` and the best one.

    Later ones are damaged, and training went on from one before them; each is replaced when its step comes.
    """
    found = sorted((p for p in folder.iterdir() if CHECKPOINT.fullmatch(p.name)), key=lambda p: int(p.name[5:]))
    for path in [p for p in found if int(p.name[5:]) <= step][:-keep]:
        if int(path.name[5:]) != best_step:
            shutil.rmtree(path, ignore_errors=True)


def _read_state(path: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads(_read(path / "state.json", path))
        digest = state.pop("sha256")
    except (ValueError, KeyError, AttributeError, TypeError):
        raise _corrupt(path, "state.json is not complete JSON") from None
    if state.get("format") != FORMAT:
        raise RunError(
            "checkpoint-format",
            f"`{path}` has format `{state.get('format')}`; this version of dlrun reads {FORMAT}.",
            hint="Use the version of dlrun that wrote it.",
        )
    if digest != _digest(state):
        raise _corrupt(path, "state.json was altered")
    return state


def _read(file: Path, path: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise _corrupt(path, f"{file.name} cannot be read: {error.strerror}") from None


def _digest(state: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def _corrupt(path: Path, why: str) -> RunError:
    others = sorted(
        (p for p in path.parent.glob("step-*") if CHECKPOINT.fullmatch(p.name) and p.name < path.name), reverse=True
    )
    good = next((p for p in others if is_good(p)), None)
    return RunError(
        "checkpoint-corrupt",
        f"`{path}` is damaged: {why}.",
        hint=f"The checkpoint before it is good; go on from there: dlrun train resume={good}"
        if good
        else "No earlier checkpoint is good; start the run again.",
    )
