"""A comparison as JSON-ready values; the page and the terminal are drawn from the same."""

from __future__ import annotations

from typing import Any

from dlrun.compare.backends import Compared, Report
from dlrun.compare.differences import Differences


def document(report: Report) -> dict[str, Any]:
    """Everything a comparison found; infinite differences are null."""
    composed = report.composed
    return {
        "recipe": composed.recipe.name,
        "file": composed.file,
        "overrides": list(report.overrides),
        "seed": composed.recipe.seed,
        "threads": report.threads,
        "verdict": "pass" if report.holds else "fail",
        "sides": list(report.precisions[0].found.labels),
        "precisions": [_precision(c, composed.plan.graph) for c in report.precisions],
        "speed": [{"backend": backend, **values} for backend, values in report.speed.items()],
        "notes": list(report.notes),
    }


def _precision(compared: Compared, graph: Any) -> dict[str, Any]:
    found, kinds = compared.found, {node.name: node.layer.kind for node in graph.nodes}
    return {
        "dtype": compared.dtype,
        "steps": len(found.loss),
        "verdict": "pass" if compared.holds else "fail",
        "same_start": found.same_start,
        "checks": [
            {
                "steps": c.steps,
                "limit": c.limit,
                "difference": c.difference,
                "noise": c.noise,
                "allowed": c.allowed,
                "by_noise": c.by_noise,
                "too_noisy": c.too_noisy,
                "first_past": c.first_past,
                "verdict": "pass" if c.holds else "fail",
            }
            for c in compared.checks
        ],
        "updates": _updates(compared),
        "layers": _layers(found, kinds),
        "cause": None
        if compared.cause is None
        else {
            "part": compared.cause.part,
            "step": compared.cause.step,
            "layer": compared.cause.layer,
            "difference": compared.cause.difference,
            "says": str(compared.cause),
        },
    }


def _updates(compared: Compared) -> list[dict[str, Any]]:
    """One record per update."""
    found, noise = compared.found, compared.noise
    a, b = found.labels
    return [
        {
            "step": i + 1,
            f"loss_{a}": found.losses[0][i],
            f"loss_{b}": found.losses[1][i],
            "difference": found.loss[i],
            "noise": None if noise is None else float(noise[i]),
            "gradients": {layer: values[i] for layer, values in found.gradients.items()},
            "weight_updates": {layer: values[i] for layer, values in found.updates.items()},
        }
        for i in range(len(found.loss))
    ]


def _layers(found: Differences, kinds: dict[str, str]) -> list[dict[str, Any]]:
    """The largest differences of each layer, in the model's order."""
    return [
        {
            "layer": layer,
            "kind": kind,
            "output": found.outputs.get(layer),
            "gradient": max(found.gradients[layer]) if layer in found.gradients else None,
            "update": max(found.updates[layer]) if layer in found.updates else None,
        }
        for layer, kind in kinds.items()
    ]
