"""Whether an artefact computes what the model computes."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlrun.errors import RunError
from dlrun.export.probe import REAL

TOLERANCE = 1e-4
"""Largest difference allowed, as a share of the largest output in absolute value."""


def compare(format: str, expected: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """One record per probe; differences are measured against the largest output.

    The largest output is that of the probe itself or of the real samples, whichever is larger, so
    that a regression which happens to answer almost zero is not held to less than rounding.

    Raises:
        RunError: ``export-mismatch``, naming the worst probe.
    """
    usual = max(_largest(y) for name, y in expected.items() if name.startswith(REAL))
    checks = [_check(name, y, found[name], usual) for name, y in expected.items()]
    bad = [c for c in checks if not c["equal"]]
    if bad:
        worst = max(bad, key=_badness)
        raise RunError(
            "export-mismatch",
            f"the `{format}` artefact does not compute what the model computes: {_describe(worst)}.",
            hint="Nothing was kept. Try another format, or report this with the recipe.",
        )
    return checks


def _largest(y: np.ndarray) -> float:
    return float(np.max(np.abs(y), initial=0.0))


def _check(name: str, expected: np.ndarray, found: np.ndarray, usual: float) -> dict[str, Any]:
    kind, _, size = name.rpartition("-")
    record: dict[str, Any] = {"input": kind, "batch_size": int(size), "shape": list(found.shape)}
    if expected.shape != found.shape:
        return record | {"expected_shape": list(expected.shape), "equal": False}
    largest = max(_largest(expected), usual)
    with np.errstate(invalid="ignore"):
        difference = _largest(found.astype(np.float64) - expected)
    # a comparison with NaN is false, so an output that is not a number never passes
    equal = difference <= TOLERANCE * largest and np.isfinite(largest)
    return record | {"largest_difference": difference, "largest_output": largest, "equal": bool(equal)}


def _badness(check: dict[str, Any]) -> float:
    share = check.get("largest_difference", np.inf)
    return np.inf if not np.isfinite(share) else share / (check["largest_output"] or 1e-300)


def _describe(check: dict[str, Any]) -> str:
    probe = f"input `{check['input']}`, batch size {check['batch_size']}"
    if "expected_shape" in check:
        return f"{probe} gives shape {check['shape']} instead of {check['expected_shape']}"
    return (
        f"{probe} differs by `{check['largest_difference']:.3g}` where the largest output is "
        f"{check['largest_output']:.3g} (at most {TOLERANCE:g} of it is allowed)"
    )
