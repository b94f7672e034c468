"""Writing an artefact, trying it in its own runtime, and keeping it only when it is right."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import importlib.metadata
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dlrun import __version__
from dlrun.backends import load_backend
from dlrun.backends.base import Backend, EngineState
from dlrun.data.preprocessing import apply
from dlrun.errors import DlrunError, RunError
from dlrun.export import onnx_file
from dlrun.export.compare import TOLERANCE, compare
from dlrun.export.formats import Format, check_format, find_format
from dlrun.export.probe import probes
from dlrun.export.runtime import run_artefact
from dlrun.export.staging import description_file, place, publish, workspace
from dlrun.export.stored import columns, from_8_bit, input_range, picture
from dlrun.files import write_json
from dlrun.plan import Plan
from dlrun.recipe import BackendChoice, Device

_DISK_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


@dataclasses.dataclass(frozen=True)
class ExportResult:
    """An artefact that was kept.

    Args:
        path: Its file or folder.
        format: Name of its format.
        checks: One record per input it was tried with.
        size_bytes: Of all its files.
        description: The JSON file that describes it.
        input_range: Lowest and highest value of its input, where the data tells.
        from_8_bit: How values v of an 8-bit image become values of its input, where they differ.
    """

    path: Path
    format: str
    checks: list[dict[str, Any]]
    size_bytes: int
    description: Path
    input_range: tuple[float, float] | None = None
    from_8_bit: str | None = None


def export_plan(
    plan: Plan,
    weights: dict[str, np.ndarray],
    format: str,
    out: Path,
    samples: np.ndarray,
    *,
    stem: str | None = None,
    origin: dict[str, Any] | None = None,
) -> ExportResult:
    """Write a model with these weights, and keep the artefact only if it computes the same.

    The reference is the plan's own backend in evaluation mode, float32, on the processor.

    Args:
        plan: The model, its data and its backend.
        weights: In canonical names and layout; the moving averages where the run keeps them.
        format: Name of a format.
        out: The artefact's path, or a folder to put it in.
        samples: Real stored samples to try it with, 128 or more where there are as many.
        stem: File name without its ending, where ``out`` is a folder; the recipe's name otherwise.
        origin: Where the weights come from, for the description.

    Raises:
        DlrunError: ``unknown-format``, ``format-needs-backend``, ``export-not-installed``,
            ``wrong-suffix``, ``target-exists``, ``checkpoint-mismatch``.
        RunError: ``export-mismatch``, ``export-failed``, ``export-not-writable``; nothing is left then.
    """
    chosen = find_format(format)
    check_format(chosen, plan.recipe.backend.name)
    target = place(chosen, out, stem or plan.recipe.name)
    backend = load_backend(plan.recipe.backend.name)
    plan = _for_inference(plan)
    weights = _fitting(plan, weights)
    inputs = probes(plan.signature, plan.graph.input.shape, samples)
    expected, versions = _reference(backend, plan, weights, inputs)
    with workspace(target) as folder:
        made = folder / f"artefact{chosen.suffix}"
        description = _describe(plan, chosen, versions, origin)
        description |= _write(backend, plan, weights, chosen, made, description)
        description["sha256"] = _digests(made)
        checks = compare(format, expected, run_artefact(chosen, made, inputs, folder))
        description |= {"tolerance": TOLERANCE, "checks": checks}
        described = description_file(chosen, made)
        write_json(described, description)
        publish(made, target, folder / "replaced")
        if not chosen.folder:  # it needs no further space on disk, so it does not fail for lack of it
            publish(described, description_file(chosen, target), folder / "replaced")
    size = sum(file.stat().st_size for file in _files(target))
    described, signature = description_file(chosen, target), plan.signature
    return ExportResult(target, format, checks, size, described, input_range(signature), from_8_bit(signature))


def _for_inference(plan: Plan) -> Plan:
    """The same model in float32 on the processor, with the weights it is given."""
    recipe = dataclasses.replace(
        plan.recipe,
        precision="float32",
        backend=BackendChoice(name=plan.recipe.backend.name),
        device=Device(name="cpu", threads=plan.recipe.device.threads),
        train=dataclasses.replace(plan.recipe.train, ema=None),
    )
    return dataclasses.replace(plan, recipe=recipe)


def _fitting(plan: Plan, weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights in float32, once each is there and has the model's shape."""
    shapes = {name: weight.shape for name, weight in plan.graph.weights()}
    wrong = [n for n in (*shapes, *weights) if n not in weights or np.shape(weights[n]) != shapes.get(n)]
    if wrong:
        raise DlrunError(
            "checkpoint-mismatch",
            f"`{wrong[0]}` is not the same in the checkpoint and the model.",
            hint="Use the recipe the checkpoint was written with.",
        )
    return {name: np.asarray(weights[name], np.float32) for name in shapes}


def _reference(
    backend: Backend, plan: Plan, weights: dict[str, np.ndarray], inputs: dict[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """What the model answers, and the versions it answered with."""
    engine = backend.compile(plan)
    engine.restore(EngineState(weights))
    answers = {name: engine.infer(apply(x, plan.preprocessing, plan.input_dtype)) for name, x in inputs.items()}
    return answers, engine.describe()["versions"]


def _write(
    backend: Backend,
    plan: Plan,
    weights: dict[str, np.ndarray],
    format: Format,
    made: Path,
    description: dict[str, Any],
) -> dict[str, Any]:
    """Write the artefact; returns what is known of it only then."""
    try:
        backend.export(plan, weights, format.name, made)
        return {"opset": onnx_file.finish(made, description)} if format.name == "onnx" else {}
    except (DlrunError, OSError):
        raise
    except Exception as error:  # converters raise anything; the user needs one line of it
        full = next((n for n in _DISK_FULL if os.strerror(n) in str(error)), None)
        if full is not None:
            raise OSError(full, os.strerror(full)) from error
        lines = str(error).strip().splitlines() or [""]
        raise RunError(
            "export-failed",
            f"`{format.name}` cannot be written: {type(error).__name__}: {lines[0]}",
            hint="Nothing was kept. Try another format, or report this with the recipe.",
        ) from error


def _describe(plan: Plan, format: Format, versions: dict[str, str], origin: dict[str, Any] | None) -> dict[str, Any]:
    signature, backend = plan.signature, plan.recipe.backend.name
    names = signature.class_names
    if names is None and signature.classes is not None:
        names = tuple(str(i) for i in range(signature.classes))
    return {
        "dlrun": __version__,
        "format": format.name,
        "backend": backend,
        "recipe": plan.recipe.name,
        "task": plan.recipe.task,
        "input": {"name": "input", "shape": ["N", *plan.graph.input.shape], "dtype": signature.stored_dtype},
        "output": {"name": "output", "shape": ["N", *plan.graph.output.shape], "dtype": "float32"},
        "input_range": input_range(signature),
        "from_8_bit_image": from_8_bit(signature),
        "columns": columns(signature),
        "picture": picture(plan),
        "preprocessing": "inside: give samples as stored",
        "classes": None if names is None else list(names),
        "origin": origin or {},
        "versions": versions | {p: importlib.metadata.version(p) for p in format.packages.get(backend, ())},
    }


def _files(artefact: Path) -> Iterator[Path]:
    return (p for p in sorted(artefact.rglob("*")) if p.is_file()) if artefact.is_dir() else iter((artefact,))


def _digests(artefact: Path) -> str | dict[str, str]:
    """SHA-256 of the file, or of each file in the folder."""
    found = {str(p.relative_to(artefact)): hashlib.sha256(p.read_bytes()).hexdigest() for p in _files(artefact)}
    return found["."] if artefact.is_file() else found
