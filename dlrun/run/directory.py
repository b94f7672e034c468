"""The run directory: what is where, who may write, and how a run is found again."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from dlrun.errors import DlrunError, RunError
from dlrun.files import recover_folders, write_atomic, write_json
from dlrun.recipe import Output

CHECKPOINT = re.compile(r"step-(\d{8,})")
_SHOWN = 8


def step_of(path: Path) -> int:
    """The updates completed when a checkpoint folder was written."""
    return int(path.name.removeprefix("step-"))


@dataclass(frozen=True)
class RunDirectory:
    """One run on disk.

    ``recipe.yaml`` (resolved, runnable), ``fitted.json``, ``overrides.json``, ``environment.json``, ``metrics.jsonl``,
    ``checkpoints/step-*/``, ``best.json``, ``tensorboard/``, ``learning_curve.svg``, ``result.json``;
    ``samples/`` of tasks that make pictures.
    """

    path: Path

    @property
    def recipe_file(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.yaml"

    @property
    def fitted_file(self) -> Path:
        """What was found in the training data."""
        return self.path / "fitted.json"

    @property
    def metrics_file(self) -> Path:
        """One JSON object per line."""
        return self.path / "metrics.jsonl"

    @property
    def environment_file(self) -> Path:
        """Versions, device and seed of every start."""
        return self.path / "environment.json"

    @property
    def checkpoint_folder(self) -> Path:
        """Holds one folder per checkpoint."""
        return self.path / "checkpoints"

    @property
    def samples_folder(self) -> Path:
        """Holds a picture per epoch, of tasks that make some."""
        return self.path / "samples"

    def checkpoints(self) -> list[Path]:
        """Checkpoint folders, oldest first."""
        if not self.checkpoint_folder.is_dir():
            return []
        found = [p for p in self.checkpoint_folder.iterdir() if CHECKPOINT.fullmatch(p.name)]
        return sorted(found, key=step_of)

    def best(self) -> dict[str, Any] | None:
        """``{"step", "monitor", "value"}`` of the best checkpoint, if one was chosen."""
        try:
            best: dict[str, Any] = json.loads((self.path / "best.json").read_text())
        except (OSError, ValueError):
            return None
        return best

    def default_checkpoint(self) -> Path:
        """The best checkpoint, or the last one where none was chosen.

        Raises:
            RunError: ``no-checkpoint``.
        """
        found = self.checkpoints()
        if not found:
            raise RunError(
                "no-checkpoint",
                f"`{self.path}` holds no checkpoint.",
                hint="The run ended before its first one; start it again.",
            )
        best = self.best()
        if best is not None:
            path = self.checkpoint_folder / f"step-{best['step']:08d}"
            if path in found:
                return path
        return found[-1]

    def records(self) -> list[dict[str, Any]]:
        """The lines of ``metrics.jsonl``; a line cut off by a crash is left out."""
        if not self.metrics_file.exists():
            return []
        found = []
        for line in self.metrics_file.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return found

    def rewind(self, step: int) -> None:
        """Drop records of updates after ``step``, which will be made again."""
        kept = [r for r in self.records() if r["step"] <= step]
        write_atomic(self.metrics_file, "".join(json.dumps(r) + "\n" for r in kept).encode())

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only process that writes this run.

        Raises:
            RunError: ``run-locked`` when another process does.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(str(self.path / ".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise RunError(
                "run-locked",
                f"another process is writing `{self.path}`.",
                hint="Wait for it to end, or stop it.",
            ) from None
        try:
            yield
        finally:
            lock.release()

    def recover(self) -> None:
        """Put a checkpoint back that a crash left half replaced, unless a process is at work here."""
        if any(self.checkpoint_folder.glob(".*.old")):
            with contextlib.suppress(RunError, OSError), self.lock():  # OSError: a disk that cannot be written
                recover_folders(self.checkpoint_folder)

    def record_session(self, session: dict[str, Any]) -> None:
        """Add a start to ``environment.json``."""
        sessions = self.sessions()
        write_json(self.environment_file, {"sessions": [*sessions, session]})

    def sessions(self) -> list[dict[str, Any]]:
        """Every start so far, oldest first."""
        try:
            sessions: list[dict[str, Any]] = json.loads(self.environment_file.read_text())["sessions"]
        except (OSError, ValueError, KeyError):
            return []
        return sessions


def create_run(output: Output, recipe: str, backend: str) -> RunDirectory:
    """A new run directory, ``<root>/<recipe>/<date>_<time>-<backend>``.

    Raises:
        DlrunError: ``output-not-writable``; ``run-exists`` when a given name is taken.
    """
    parent = Path(output.root) / recipe
    try:
        parent.mkdir(parents=True, exist_ok=True)
        if output.name is not None:
            path = parent / output.name
            if path.exists():
                raise DlrunError(
                    "run-exists",
                    f"`{path}` exists already.",
                    path=("output", "name"),
                    hint=f"Choose another name, or go on with it: dlrun train resume={path}",
                )
            path.mkdir(parents=True)
        else:
            path = fresh_folder(parent, f"{datetime.now():%Y-%m-%d_%H-%M-%S}-{backend}")
        (path / "checkpoints").mkdir()
    except OSError as error:
        raise DlrunError(
            "output-not-writable",
            f"the run directory below `{output.root}` cannot be created: {error.strerror}.",
            path=("output", "root"),
            hint="Set `output.root` to a folder you can write to.",
        ) from None
    return RunDirectory(path)


def fresh_folder(parent: Path, name: str) -> Path:
    """A new folder below ``parent``; its name gets a number where it is taken."""
    for number in range(1, 10_000):
        path = parent / (name if number == 1 else f"{name}-{number}")
        with contextlib.suppress(FileExistsError):
            path.mkdir()
            return path
    raise OSError(0, "too many runs with one name")


def open_run(path: str | os.PathLike[str]) -> RunDirectory:
    """The run directory at ``path``, or the one whose ``checkpoints`` or checkpoint is at ``path``.

    Nothing else below a run stands for it: a mistyped checkpoint must not become the whole run.

    Raises:
        DlrunError: ``not-a-run``; ``no-checkpoint`` when the run has no checkpoint of that name.
    """
    given = Path(path)
    place = _place(given)
    for candidate in (given, *((place.parent,) if place.name == "checkpoints" else ())):
        if _is_run(candidate):
            RunDirectory(candidate).recover()
            return RunDirectory(candidate)
    if _is_run(place.parent.parent) and place.parent.name == "checkpoints":
        run = RunDirectory(place.parent.parent)
        run.recover()
        if not (CHECKPOINT.fullmatch(place.name) and os.path.isdir(given)):
            raise _no_such_checkpoint(run, given, place.name)
        return run
    around = next((RunDirectory(p) for p in place.parents if _is_run(p)), None)
    if around is not None:
        raise DlrunError(
            "not-a-run",
            f"`{path}` is neither a run directory nor one of its checkpoints.",
            hint=f"The run is `{around.path}`. {_listed(around, place.name)}",
        )
    near = _nearby(given)
    raise DlrunError(
        "not-a-run",
        f"`{path}` is not a run directory" + ("." if os.path.exists(given) else "; it does not exist."),
        hint=f"Runs here: {', '.join(near)}"
        if near
        else "Runs are folders like outputs/<recipe>/<date>_<time>-<backend>.",
    )


def _is_run(path: Path) -> bool:
    # os.path, here and below: a word that no file system takes is no run, where pathlib would raise
    return os.path.isfile(path / "recipe.yaml") and os.path.isdir(path / "checkpoints")


def _place(given: Path) -> Path:
    """The path itself, or where it leads when its last two names do not say (``.``, ``../step-00000008``)."""
    whole = Path(os.path.abspath(given))
    return given if given.parts[-2:] == whole.parts[-2:] else whole


def _no_such_checkpoint(run: RunDirectory, given: Path, name: str) -> DlrunError:
    return DlrunError("no-checkpoint", f"`{given}` is not a checkpoint of `{run.path}`.", hint=_listed(run, name))


def _listed(run: RunDirectory, name: str) -> str:
    """The run's checkpoints; the one that ``name`` probably means, where its number is right."""
    found = run.checkpoints()
    number = re.fullmatch(r"step[-_]?(\d+)", name)
    meant = [p for p in found if number is not None and step_of(p) == int(number[1])]
    if meant:
        return f"Did you mean `{meant[0]}`?"
    if not found:
        return "It has no checkpoint yet."
    names = [f"`{p.name}`" for p in found[-_SHOWN:]]
    return f"`{run.checkpoint_folder}` has {'…, ' if len(found) > _SHOWN else ''}{', '.join(names)}."


def _nearby(given: Path) -> list[str]:
    roots = [p for p in (given, *given.parents) if os.path.isdir(p)][:1]
    found = [
        p.parent for root in roots for p in sorted(root.glob("*/recipe.yaml")) + sorted(root.glob("*/*/recipe.yaml"))
    ]
    return [f"`{p}`" for p in found[-3:]]


def chosen_checkpoint(path: str | os.PathLike[str]) -> Path | None:
    """The checkpoint folder that ``path`` itself names, or None when it names a run.

    Raises:
        DlrunError: As ``open_run``.
    """
    run, place = open_run(path), _place(Path(path))
    return place if place.parent.name == "checkpoints" and place.parent.parent == run.path else None
