"""Predicting files with a trained model."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlrun.data.checks import check_missing
from dlrun.data.images import SUFFIXES
from dlrun.data.tables.encode import unknown_told
from dlrun.errors import DlrunError, DlrunErrors
from dlrun.plan import Plan
from dlrun.run.evaluate import load_model
from dlrun.tasks.task import Answer, task_of

WRITTEN = ("delimiter", "encoding", "decimal", "format", "missing", "header")
"""Fields of a source that say how files are written; overridden, they are about the files to predict."""


@dataclass(frozen=True)
class Prediction:
    """What the model says of one input.

    Args:
        file: The file read (where it holds several samples: ``file[index]``).
        answer: What the task makes of the model's output.
    """

    file: str
    answer: Answer


def find_inputs(inputs: Sequence[Path]) -> list[Path]:
    """Files to predict: those named, and images anywhere below folders named, sorted.

    Raises:
        DlrunError: ``no-input`` when one does not exist or a folder holds no image.
    """
    found: list[Path] = []
    for given in inputs:
        if os.path.isdir(given):
            inside = sorted(p for p in given.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
            if not inside:
                raise DlrunError("no-input", f"`{given}` holds no image ({', '.join(sorted(SUFFIXES))}).")
            found += inside
        elif os.path.isfile(given):  # no word makes it raise
            found.append(given)
        else:
            raise DlrunError("no-input", f"`{given}` does not exist.", hint="Name image files or folders of them.")
    return found


def predict(
    target: Path,
    inputs: Sequence[Path],
    *,
    overrides: Sequence[str] = (),
    unread: dict[Path, DlrunError] | None = None,
    notes: list[str] | None = None,
) -> list[Prediction]:
    """Predictions for image files (and folders of them), in order.

    Args:
        target: Run directory or checkpoint folder.
        inputs: Files and folders.
        overrides: Such as ``backend=tensorflow``; ``data.source.delimiter=;`` and others of ``WRITTEN`` are about the
            files to predict, which may be written in another way than those of the training data.
        unread: Gets the error of each file that cannot be read; the others are predicted. Without it, or where
            no file can be read, these errors are raised.
        notes: Gets what a user should know of the files; one sentence each.

    Raises:
        DlrunError: ``nothing-to-predict``, ``no-input``, ``unreadable-image``, and as for loading the model.
    """
    files = find_inputs(inputs)
    model = load_model(target, overrides, read_data=any(map(_of_training, overrides)))
    run, plan = model.run, model.plan
    task = task_of(plan.recipe.task)
    if task.pictures:
        raise DlrunError(
            "nothing-to-predict",
            f"`{run.path}` makes images out of noise (`{plan.recipe.task}`): there is no file to say something of.",
            hint=f"Pictures of each epoch are in `{run.samples_folder}`.",
        )
    if not task.answers(plan.signature):
        raise DlrunError(
            "nothing-to-predict",
            f"`{run.path}` gives each place of a sample a class (labels {plan.signature.target}); prediction writes "
            "one for each sample.",
            hint=f"`dlrun export {run.path} format=onnx` writes a model that gives all of its output.",
        )
    size = plan.recipe.data.eval_batch_size
    predictions: list[Prediction] = []
    bad: dict[Path, DlrunError] = {}
    unknown: Counter[tuple[str, str]] = Counter()
    for i in range(0, len(files), size):
        part = files[i : i + size]
        names, stored = _read(plan, part, bad, unknown)
        if bad and unread is None:
            raise next(iter(bad.values()))
        if not names:
            continue
        for j in range(0, len(names), size):  # a file may have many rows
            outputs = model.engine.infer(plan.pipeline.evaluation(stored[j : j + size]))
            for name, output in zip(names[j : j + size], outputs, strict=True):
                answer = task.answer(output, plan.signature)
                assert answer is not None
                predictions.append(Prediction(name, answer))
    if bad and not predictions:
        raise DlrunErrors(list(bad.values()))
    if unread is not None:
        unread.update(bad)
    if notes is not None:
        notes += unknown_told(unknown)
    return predictions


def _of_training(override: str) -> bool:
    """Whether an override may change what is known of the training data, so that these are looked at."""
    key = override.lstrip("+~").partition("=")[0].strip()
    return key.startswith("data.source") and key.removeprefix("data.source.") not in WRITTEN


def _read(
    plan: Plan, files: Sequence[Path], bad: dict[Path, DlrunError], unknown: Counter[tuple[str, str]]
) -> tuple[list[str], np.ndarray]:
    """Names and stored samples of the files that can be read; the errors of the others go to ``bad``.

    Columns and values of categories that training did not know are counted in ``unknown``.
    """
    signature = plan.signature
    one_by_one = bool(signature.columns) and len(files) > 1  # each has rows of its own
    try:
        if not one_by_one:
            stored, strange = plan.recipe.data.source.read_counted(files, signature)
            check_missing(plan.recipe.data, signature, stored, f"`{files[0]}`")
            unknown.update(strange)
    except DlrunError as error:
        if len(files) == 1:
            bad[files[0]] = error
            return [], np.empty((0, *signature.input.shape), signature.stored_dtype)
        one_by_one = True  # which of them it was, and whether there are others
    if one_by_one:
        parts = [_read(plan, [file], bad, unknown) for file in files]
        return [name for names, _ in parts for name in names], np.concatenate([x for _, x in parts])
    if len(stored) == len(files):
        return [str(f) for f in files], stored
    return [f"{files[0]}[{k}]" for k in range(len(stored))], stored
