"""Exporting what a run has learned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dlrun.data.feed import Feed
from dlrun.export.artefact import ExportResult, export_plan
from dlrun.export.formats import check_format, find_format
from dlrun.export.probe import BATCH_SIZES
from dlrun.run.directory import chosen_checkpoint
from dlrun.run.evaluate import load_plan


def export(target: Path, format: str, *, out: Path | None = None, overrides: Sequence[str] = ()) -> ExportResult:
    """Write a run's best checkpoint, or the checkpoint named, as an artefact that needs no dlrun.

    Args:
        target: Run directory or checkpoint folder.
        format: ``onnx``, ``torch_export``, ``saved_model`` or ``keras``.
        out: The artefact's path or a folder to put it in; the run's ``exports`` folder when left out.
        overrides: Such as ``backend=tensorflow``: weights move between backends.

    Raises:
        DlrunError: ``not-a-run`` and mistakes in overrides, and as ``export_plan``.
        RunError: ``checkpoint-corrupt``, and as ``export_plan``; nothing is left then.
    """
    chosen = find_format(format)
    run, checkpoint, plan = load_plan(target, overrides)
    check_format(chosen, plan.recipe.backend.name, str(target))
    stem = plan.recipe.name if chosen_checkpoint(target) is None else f"{plan.recipe.name}-{checkpoint.path.name}"
    averaged = bool(checkpoint.engine.ema)
    return export_plan(
        plan,
        checkpoint.engine.ema if averaged else checkpoint.engine.weights,
        format,
        out or run.path / "exports" / (stem + chosen.suffix),
        Feed(plan).stored_validation(max(BATCH_SIZES)),
        stem=stem,
        origin={
            "run": run.path.name,
            "checkpoint": checkpoint.path.name,
            "step": checkpoint.position.step,
            "weights": "moving averages" if averaged else "as trained",
        },
    )
