"""Predicting files with a trained model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlrun.data.images import SUFFIXES
from dlrun.data.transforms import apply
from dlrun.errors import DlrunError
from dlrun.losses import log_softmax
from dlrun.run.evaluate import LoadedModel, load_model
from dlrun.tasks.task import tasks

TOP = 5


@dataclass(frozen=True)
class Prediction:
    """What the model says of one input.

    Args:
        file: The file read (arrays: ``file[index]``).
        label: The most probable class, or the number predicted.
        score: Its probability; None for regression.
        top: The five most probable classes with their probabilities.
    """

    file: str
    label: str
    score: float | None
    top: tuple[tuple[str, float], ...]


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


def predict(target: Path, inputs: Sequence[Path], *, overrides: Sequence[str] = ()) -> list[Prediction]:
    """Predictions for image files (and folders of them), in order.

    Args:
        target: Run directory or checkpoint folder.
        inputs: Files and folders.
        overrides: Such as ``backend=tensorflow``.

    Raises:
        DlrunError: ``nothing-to-predict``, ``no-input``, ``unreadable-image``, and as for loading the model.
    """
    files = find_inputs(inputs)
    model = load_model(target, overrides)
    run, plan = model.run, model.plan
    if tasks.get(plan.recipe.task).pictures:
        raise DlrunError(
            "nothing-to-predict",
            f"`{run.path}` makes images out of noise (`{plan.recipe.task}`): there is no file to say something of.",
            hint=f"Pictures of each epoch are in `{run.samples_folder}`.",
        )
    size = plan.recipe.data.eval_batch_size
    predictions: list[Prediction] = []
    for i in range(0, len(files), size):
        part = files[i : i + size]
        stored = plan.recipe.data.source.read(part, plan.signature)
        names = [str(f) for f in part] if len(stored) == len(part) else [f"{part[0]}[{k}]" for k in range(len(stored))]
        outputs = model.engine.infer(apply(stored, plan.affine, plan.input_dtype))
        predictions += [_describe(model, name, output) for name, output in zip(names, outputs, strict=True)]
    return predictions


def _describe(model: LoadedModel, name: str, output: np.ndarray) -> Prediction:
    signature = model.plan.signature
    if signature.classes is None:
        return Prediction(name, ", ".join(f"{v:.6g}" for v in np.ravel(output)), None, ())
    if output.shape == (1,):
        positive = float(1 / (1 + np.exp(-np.float64(output[0]))))
        scores = np.array([1 - positive, positive])
    else:
        scores = np.exp(log_softmax(output))
    labels = signature.class_names or tuple(str(i) for i in range(len(scores)))
    best = np.argsort(-scores, kind="stable")[:TOP]
    top = tuple((labels[i], float(scores[i])) for i in best)
    return Prediction(name, top[0][0], top[0][1], top)
