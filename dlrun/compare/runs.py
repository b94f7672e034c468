"""Two finished (or stopped) runs: their curves where both have a point, and their last weights by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlrun.compare.differences import apart, layers_of, relative
from dlrun.errors import DlrunError
from dlrun.run import checkpoint
from dlrun.run.directory import RunDirectory, chosen_checkpoint, open_run

_UNTOLD = {"kind", "step", "epoch", "learning_rate", "train_seconds", "data_wait_seconds", "samples_per_s", "elapsed"}


@dataclass(frozen=True)
class ComparedRuns:
    """What two runs have in common and where they part.

    Args:
        runs: The run directories.
        checkpoints: Whose weights are compared.
        recipe: Keys whose values differ, with both values.
        points: One record per point of the curves that both have.
        layers: One record per layer: ``difference`` as a share of its largest weight, or what is missing.
        same_weights: Whether all weights are equal to the bit.
    """

    runs: tuple[Path, Path]
    checkpoints: tuple[Path, Path]
    recipe: dict[str, tuple[Any, Any]]
    points: list[dict[str, Any]]
    layers: list[dict[str, Any]]
    same_weights: bool

    def document(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "runs": [str(run) for run in self.runs],
            "checkpoints": [path.name for path in self.checkpoints],
            "recipe": {key: list(values) for key, values in self.recipe.items()},
            "points": self.points,
            "layers": self.layers,
            "same_weights": self.same_weights,
        }


def compare_runs(first: Path, second: Path) -> ComparedRuns:
    """Compare two run directories, or one checkpoint of each.

    Raises:
        DlrunError: ``not-a-run``, ``nothing-to-compare``. RunError: ``no-checkpoint``, ``checkpoint-corrupt``.
    """
    runs = open_run(first), open_run(second)
    chosen = tuple(chosen_checkpoint(p) or _last(run) for p, run in zip((first, second), runs, strict=True))
    loaded = [checkpoint.load(path, training=False) for path in chosen]
    weights = loaded[0].engine.weights, loaded[1].engine.weights
    layers = _layers(*weights)
    if not any(layer["difference"] is not None for layer in layers):
        raise DlrunError(
            "nothing-to-compare",
            f"`{runs[0].path}` and `{runs[1].path}` have no layer of the same name and shape.",
            hint="Compare runs of one model.",
        )
    same = weights[0].keys() == weights[1].keys() and all(layer["difference"] == 0 for layer in layers)
    points = _points(runs[0].records(), runs[1].records())
    return ComparedRuns((runs[0].path, runs[1].path), (chosen[0], chosen[1]), _recipes(*runs), points, layers, same)


def _last(run: RunDirectory) -> Path:
    found = run.checkpoints()
    return found[-1] if found else run.default_checkpoint()  # which raises what is to be said


def _layers(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    mine, theirs = layers_of(a), layers_of(b)
    for layer in dict.fromkeys([*mine, *theirs]):
        names = mine.get(layer, []), theirs.get(layer, [])
        fits = sorted(names[0]) == sorted(names[1]) and all(a[n].shape == b[n].shape for n in names[0])
        found.append(
            {
                "layer": layer,
                "difference": apart((a[n], b[n]) for n in names[0]) if fits else None,
                "says": None
                if fits
                else "only in the first"
                if not names[1]
                else "only in the second"
                if not names[0]
                else "other weights or shapes",
            }
        )
    return found


def _points(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Values of both at every (kind, step) they share, with their relative difference."""
    theirs = {(r["kind"], r["step"]): r for r in b}
    points = []
    for mine in a:
        other = theirs.get((mine["kind"], mine["step"]))
        names = [k for k in mine if k not in _UNTOLD and other is not None and k in other]
        for name in names:
            x, y = mine[name], other[name] if other else None
            if isinstance(x, int | float) and isinstance(y, int | float):
                point = {"step": mine["step"], "kind": mine["kind"], "name": name}
                points.append({**point, "first": x, "second": y, "difference": relative(x, y)})
    return points


def _recipes(a: RunDirectory, b: RunDirectory) -> dict[str, tuple[Any, Any]]:
    from dlrun.config import compose

    values = [dict(_flat(compose([f"recipe={run.recipe_file}"], check_installed=False).values)) for run in (a, b)]
    keys = [k for k in dict.fromkeys([*values[0], *values[1]]) if not k.startswith("output.")]
    return {k: (values[0].get(k), values[1].get(k)) for k in keys if values[0].get(k) != values[1].get(k)}


def _flat(value: Any, path: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [x for k, v in value.items() for x in _flat(v, f"{path}.{k}" if path else str(k))]
    if isinstance(value, list | tuple) and any(isinstance(v, Mapping) for v in value):
        return [x for i, v in enumerate(value) for x in _flat(v, f"{path}[{i}]")]
    return [(path, list(value) if isinstance(value, tuple) else value)]
