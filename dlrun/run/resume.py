"""Going on with a run: which checkpoint, which overrides, and what has changed since."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

from dlrun.errors import DlrunError, DlrunErrors, RunError
from dlrun.files import recover_folders
from dlrun.plan import Plan
from dlrun.run import checkpoint
from dlrun.run.checkpoint import Checkpoint
from dlrun.run.directory import RunDirectory, chosen_checkpoint, create_run, open_run

ALLOWED = (
    "extensions",
    "backend.*",
    "device.*",
    "tracker.*",
    "output.*",
    "schedule.*",
    "optimizer.* (but not optimizer.name)",
    "metrics",
    "train.* (but not train.limit_batches)",
    "data.root",
    "data.download",
    "data.eval_batch_size",
    "data.memory_mb",
    "data.prefetch",
)
_SECTIONS = ("extensions", "backend", "device", "tracker", "output", "schedule", "optimizer", "metrics", "train")
_DATA = ("root", "download", "eval_batch_size", "memory_mb", "prefetch")
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


def check_changes(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse overrides that would make another run of it.

    Raises:
        DlrunErrors: ``resume-changes-run``, one per refused key, with those allowed.
    """
    refused = [key for key in changed_keys(before, now) if not _allowed(key)]
    if refused:
        raise DlrunErrors(
            [
                DlrunError(
                    "resume-changes-run",
                    f"`{key}` cannot change when a run is resumed: it would be another model or other data.",
                    hint="Allowed: " + ", ".join(ALLOWED) + ". Start a new run for anything else.",
                )
                for key in refused
            ]
        )


def _allowed(key: str) -> bool:
    section, _, rest = key.partition(".")
    if key in _FIXED:
        return False
    return section in _SECTIONS or (section == "data" and rest in _DATA)


def find(path: Path) -> tuple[RunDirectory, Path]:
    """The run and the checkpoint that ``resume=path`` means: the one named, or the latest.

    Raises:
        DlrunError: ``not-a-run``. RunError: ``no-checkpoint``.
    """
    run = open_run(path)
    recover_folders(run.checkpoint_folder)
    chosen = chosen_checkpoint(path)
    if chosen is not None:
        if not chosen.is_dir():
            names = ", ".join(f"`{p.name}`" for p in run.checkpoints()) or "none"
            raise RunError("no-checkpoint", f"`{chosen}` does not exist.", hint=f"Checkpoints of this run: {names}.")
        return run, chosen
    found = run.checkpoints()
    if not found:
        raise RunError(
            "no-checkpoint",
            f"`{run.path}` holds no checkpoint yet.",
            hint=f"Start it again: dlrun train recipe={run.recipe_file}",
        )
    return run, found[-1]


def branch_if_older(run: RunDirectory, path: Path, plan: Plan) -> tuple[RunDirectory, str | None]:
    """Go on in place from the latest good checkpoint, in a new directory from an older one.

    Returns:
        The directory to write, and a note when it is a new one.
    """
    newer = [p for p in run.checkpoints() if p.name > path.name and checkpoint.is_good(p)]
    if not newer:
        return run, None
    recipe = plan.recipe
    branch = create_run(dataclasses.replace(recipe.output, name=None), recipe.name, recipe.backend.name)
    if run.metrics_file.exists():
        shutil.copy(run.metrics_file, branch.metrics_file)
    return (
        branch,
        f"`{path.name}` is not the latest checkpoint of {run.path}, which stays as it is; going on in {branch.path}.",
    )


def with_threads(plan: Plan, recorded: dict[str, Any]) -> Plan:
    """The plan with the recorded thread count, unless the recipe asks for one."""
    recipe = plan.recipe
    if recipe.device.threads is not None or not recorded.get("threads"):
        return plan
    device = dataclasses.replace(recipe.device, threads=int(recorded["threads"]))
    return dataclasses.replace(plan, recipe=dataclasses.replace(recipe, device=device))


def horizon_note(plan: Plan, loaded: Checkpoint) -> str | None:
    """What a changed number of epochs does to the schedule, or None."""
    before = loaded.facts["total_steps"]
    if before == plan.total_steps:
        return None
    recipe, step, per_epoch = plan.recipe, loaded.position.step, plan.steps_per_epoch
    rate = recipe.optimizer.learning_rate
    old = rate * recipe.schedule.factor(step, before, per_epoch)
    new = rate * recipe.schedule.factor(step, plan.total_steps, per_epoch)
    return (
        f"schedule `{recipe.schedule.kind}` now spans {plan.total_steps:,} updates instead of {before:,}: "
        f"the learning rate of update {step + 1:,} is {new:.3g} (was {old:.3g})."
    )
