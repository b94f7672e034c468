"""Going on with a run: which checkpoint, which overrides, and what has changed since."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

from dlrun.errors import DlrunError, DlrunErrors, RunError
from dlrun.files import recover_folders, write_folder, write_synced
from dlrun.plan import Plan
from dlrun.run import checkpoint
from dlrun.run.checkpoint import Checkpoint, Position
from dlrun.run.directory import RunDirectory, chosen_checkpoint, create_run, step_of

ALLOWED = (
    "extensions",
    "backend.*",
    "device.*",
    "tracker.*",
    "schedule.*",
    "optimizer.* (but not optimizer.name)",
    "metrics",
    "train.* (but not train.limit_batches)",
    "data.root",
    "data.download",
    "data.eval_batch_size",
    "data.memory_mb",
    "data.prefetch",
    "data.workers",
    "data.files",
)
_SECTIONS = ("extensions", "backend", "device", "tracker", "schedule", "optimizer", "metrics", "train")
_DATA = ("root", "download", "eval_batch_size", "memory_mb", "prefetch", "workers", "files")
_FIXED = ("optimizer.name", "train.limit_batches")


def changed_keys(before: Any, now: Any, prefix: str = "") -> list[str]:
    """Dotted keys whose values differ between two plain recipes."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = list(dict.fromkeys([*before, *now]))
        return [
            found
            for key in keys
            for found in changed_keys(before.get(key), now.get(key), f"{prefix}.{key}" if prefix else key)
        ]
    return [] if before == now else [prefix]


def check_changes(before: dict[str, Any], now: dict[str, Any], run: RunDirectory, *, branches: bool) -> None:
    """Refuse overrides that would make another run of it, or that name a directory it does not get.

    Args:
        before: The run's recipe.
        now: The recipe with overrides.
        run: The run.
        branches: Whether it goes on in a new directory.

    Raises:
        DlrunErrors: ``resume-changes-run``, one per refused key, with those allowed.
    """
    refused = [key for key in changed_keys(before, now) if not _allowed(key, branches)]
    if refused:
        raise DlrunErrors([_refusal(key, run) for key in refused])


def _refusal(key: str, run: RunDirectory) -> DlrunError:
    if key.startswith("output."):
        return DlrunError(
            "resume-changes-run",
            f"`{key}` cannot change when a run goes on from its latest checkpoint: it goes on in `{run.path}`.",
            hint="Leave it out. Only a run that goes on from an older checkpoint gets a new directory.",
        )
    return DlrunError(
        "resume-changes-run",
        f"`{key}` cannot change when a run is resumed: it would be another model or other data.",
        hint="Allowed: " + ", ".join(ALLOWED) + ". Start a new run for anything else.",
    )


def _allowed(key: str, branches: bool) -> bool:
    section, _, rest = key.partition(".")
    if section == "output":
        return branches
    if key in _FIXED:
        return False
    return section in _SECTIONS or (section == "data" and rest in _DATA)


def choose(run: RunDirectory, path: Path) -> Path:
    """The checkpoint that ``resume=path`` means: the one named, or the latest.

    Args:
        run: The run, locked: what a crash left half written is cleared away.
        path: What the user named.

    Raises:
        DlrunError: As ``open_run``. RunError: ``no-checkpoint`` when the run has none.
    """
    recover_folders(run.checkpoint_folder)
    chosen = chosen_checkpoint(path)
    if chosen is not None:
        return chosen
    found = run.checkpoints()
    if not found:
        raise RunError(
            "no-checkpoint",
            f"`{run.path}` holds no checkpoint yet.",
            hint=f"Start it again: dlrun train recipe={run.recipe_file}",
        )
    return found[-1]


def branches(run: RunDirectory, path: Path) -> bool:
    """Whether to go on in a new directory: not from the latest good checkpoint, but from an older one."""
    step = step_of(path)
    return any(step_of(p) > step and checkpoint.is_good(p) for p in run.checkpoints())


def renamed(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """The plain recipe of a new directory: a name that is the old one's is not its own."""
    if now["output"]["name"] != before["output"]["name"]:
        return now
    return {**now, "output": {**now["output"], "name": None}}


def branch(run: RunDirectory, path: Path, plan: Plan, name: str | None) -> tuple[RunDirectory, str]:
    """A new directory to go on in, with the records so far, and a note that says so.

    Args:
        run: The run that stays as it is.
        path: Its checkpoint to go on from.
        plan: Of the run to come; its ``output.root`` says where.
        name: Of the new directory; date, time and backend when None.
    """
    recipe = plan.recipe
    made = create_run(dataclasses.replace(recipe.output, name=name), recipe.name, recipe.backend.name)
    for file, copy in ((run.metrics_file, made.metrics_file), (run.fitted_file, made.fitted_file)):
        if file.exists():
            shutil.copy(file, copy)
    return (
        made,
        f"`{path.name}` is not the latest checkpoint of {run.path}, which stays as it is; going on in {made.path}.",
    )


def bring_best(run: RunDirectory, target: RunDirectory, position: Position) -> str | None:
    """See that the directory written has the checkpoint that ``position.best`` names.

    Args:
        run: The run resumed.
        target: The directory to write: a new one gets a copy; the run itself may have lost it.
        position: Forgets its best epoch when no good checkpoint of it is left.

    Returns:
        A note when it was forgotten.
    """
    best = position.best
    if best is None:
        return None
    name = f"step-{best['step']:08d}"
    source = run.checkpoint_folder / name
    if checkpoint.is_good(source):
        if target.path != run.path:
            write_folder(target.checkpoint_folder / name, lambda made: _copy_files(source, made))
        return None
    position.best, position.stale_epochs = None, 0
    return f"the checkpoint of the best epoch so far, `{name}`, is gone: the best is chosen from the epochs to come."


def _copy_files(source: Path, made: Path) -> None:
    for file in source.iterdir():
        write_synced(made / file.name, file.read_bytes())


def with_threads(plan: Plan, recorded: dict[str, Any]) -> Plan:
    """The plan with the recorded thread count, unless the recipe asks for one."""
    recipe = plan.recipe
    if recipe.device.threads is not None or not recorded.get("threads"):
        return plan
    device = dataclasses.replace(recipe.device, threads=int(recorded["threads"]))
    return dataclasses.replace(plan, recipe=dataclasses.replace(recipe, device=device))


def horizon_note(plan: Plan, loaded: Checkpoint) -> str | None:
    """What a changed number of epochs does to the schedule, or None where that is nothing."""
    before = loaded.facts["total_steps"]
    if before == plan.total_steps:
        return None
    recipe, step, per_epoch = plan.recipe, loaded.position.step, plan.steps_per_epoch
    factor, rate = recipe.schedule.factor, recipe.optimizer.learning_rate
    looked_at = (step, max(step, min(before, plan.total_steps) - 1))
    if all(factor(s, before, per_epoch) == factor(s, plan.total_steps, per_epoch) for s in looked_at):
        return None  # as with a constant rate, or one that falls at stated epochs
    old, new = rate * factor(step, before, per_epoch), rate * factor(step, plan.total_steps, per_epoch)
    return (
        f"schedule `{recipe.schedule.kind}` now spans {plan.total_steps:,} updates instead of {before:,}: "
        f"the learning rate of update {step + 1:,} is {new:.3g} (was {old:.3g})."
    )
