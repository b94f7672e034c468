"""When a run is over, and what trains it further."""

from __future__ import annotations

import json
import math

from dlrun.errors import DlrunError
from dlrun.plan import Plan
from dlrun.run.checkpoint import Position
from dlrun.run.directory import RunDirectory


def check_not_over(plan: Plan, position: Position, run: RunDirectory) -> None:
    """Refuse to go on with a run that has nothing left to do, not even to write its result.

    Raises:
        DlrunError: ``already-finished``, with what trains it further.
    """
    train = plan.recipe.train
    stopped = position.finished and out_of_patience(plan, position)
    if not stopped and position.epoch < train.epochs:
        return
    if position.finished and position.epoch <= train.epochs and not _has_result(run, position):
        return
    if stopped and train.early_stopping is not None:
        monitor = position.best["monitor"] if position.best else "loss"
        because = (
            f"stopped early after {position.epoch} epochs: `{monitor}` had not improved for {position.stale_epochs}, "
            f"and `train.early_stopping.patience` is {train.early_stopping.patience}"
        )
    elif position.epoch > train.epochs:
        because = f"has completed {position.epoch} epochs, more than the {train.epochs} asked for"
    else:
        because = f"has completed {position.epoch} of {train.epochs} epochs; nothing is left to do"
    raise DlrunError(
        "already-finished",
        f"`{run.path}` {because}.",
        hint=f"Train longer: dlrun train resume={run.path} {' '.join(to_train_longer(plan, position))}",
    )


def out_of_patience(plan: Plan, position: Position) -> bool:
    """Whether early stopping ends the run here."""
    stopping = plan.recipe.train.early_stopping
    return stopping is not None and position.stale_epochs >= stopping.patience and position.step_in_epoch == 0


def to_train_longer(plan: Plan, position: Position) -> tuple[str, ...]:
    """Overrides with which a run that has ended goes on."""
    train, stopping = plan.recipe.train, plan.recipe.train.early_stopping
    epochs = f"train.epochs={max(train.epochs, position.epoch) + max(1, position.epoch)}"
    if stopping is None or not out_of_patience(plan, position):
        return (epochs,)
    patience = f"train.early_stopping.patience={position.stale_epochs + stopping.patience}"
    return (epochs, patience) if position.epoch >= train.epochs else (patience,)


def _has_result(run: RunDirectory, position: Position) -> bool:
    """Whether the run was closed here; it may have been killed before its test and its result."""
    try:
        result = json.loads((run.path / "result.json").read_text(encoding="utf-8"))
        return bool(result["step"] == position.step and result["reason"] != "interrupted")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def beats(value: float, best: float, margin: float) -> bool:
    """Whether a value, of which higher is better, beats the best so far; any number beats one that is none."""
    return value - best > margin or (math.isnan(best) and not math.isnan(value))
