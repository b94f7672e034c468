"""What a run learned of its training data before the first update: ``fitted.json`` in its folder.

Classes, categories and statistics are taken from there whenever the run goes on, is evaluated, predicts or is
exported, so that an id or a number means what it meant in training, and prediction needs no training data.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlrun.data.portable import signature_as_json, signature_from_json
from dlrun.data.source import Signature
from dlrun.data.transforms import Transform, transforms
from dlrun.errors import DlrunError, RunError
from dlrun.files import write_json
from dlrun.plan import Plan
from dlrun.run.directory import open_run

FORMAT = 1


@dataclass(frozen=True)
class Fitted:
    """What is kept.

    Args:
        signature: Of the training data.
        preprocess: The recipe's transforms with their numbers.
    """

    signature: Signature
    preprocess: tuple[Transform, ...]


def write(path: Path, plan: Plan) -> None:
    """Keep what a plan, its transforms fitted, says of its data."""
    signature = signature_as_json(plan.signature)
    chain = [{t.kind: _fields(t)} for t in plan.recipe.data.preprocess]
    write_json(path, {"format": FORMAT, "signature": signature, "preprocess": chain})


def read(path: Path) -> Fitted | None:
    """What was kept; None for a run that kept nothing.

    Raises:
        RunError: ``fitted-corrupt``.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        said = json.loads(text)
        if said["format"] != FORMAT:
            raise ValueError("format")
        chain = tuple(transforms.get(kind)(**_tuples(fields)) for t in said["preprocess"] for kind, fields in t.items())
        return Fitted(signature_from_json(said["signature"]), chain)
    except (ValueError, KeyError, TypeError, AttributeError, DlrunError) as error:
        raise RunError(
            "fitted-corrupt",
            f"`{path}` does not hold what a run keeps of its data: {type(error).__name__}: {error}.",
            hint="Restore the file from a copy of the run.",
        ) from None


def known_of(target: Path) -> Signature | None:
    """What the run at a path, or of a checkpoint, found in its training data; None where nothing was kept.

    Raises:
        DlrunError: ``not-a-run``. RunError: ``fitted-corrupt``.
    """
    kept = read(open_run(target).fitted_file)
    return None if kept is None else kept.signature


def fit_by(plan: Plan, fitted: Fitted | None) -> Plan:
    """The plan with the numbers of the run for what the recipe leaves out.

    Raises:
        DlrunError: ``not-fitted`` where the run has none for a transform.
    """
    known: Sequence[Transform] = () if fitted is None else fitted.preprocess
    chain = []
    for i, transform in enumerate(plan.recipe.data.preprocess):
        if transform.fit() is None:
            chain.append(transform)
        elif i < len(known) and _agree(transform, known[i]):
            chain.append(known[i])
        else:
            raise DlrunError(
                "not-fitted",
                f"`{transform.kind}` is to be fitted, but the run fitted no such transform there.",
                path=("data", "preprocess", i),
                hint="Leave `data.preprocess` as it was in the run, or write its numbers.",
            )
    return plan.with_preprocess(tuple(chain))


def _agree(asked: Transform, kept: Transform) -> bool:
    """Whether a transform with its numbers is the one asked for: of one kind, and alike in all that is written."""
    values = _fields(asked)
    return asked.kind == kept.kind and all(v in (None, getattr(kept, name)) for name, v in values.items())


def _fields(transform: Transform) -> dict[str, Any]:
    return {f.name: getattr(transform, f.name) for f in dataclasses.fields(transform)}


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tuples(v) for key, v in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
