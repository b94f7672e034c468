"""How far two sides are apart, update by update and layer by layer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np

from dlrun.compare.steps import Arrays, Side, Step


@dataclass
class Differences:
    """Everything measured between two sides; index 0 of each list is the first update.

    Args:
        labels: Names of the sides.
        losses: The losses of each.
        loss: Relative difference of the losses.
        outputs: Of the first update, by node: the largest difference over the largest value.
        gradients: By layer, an entry per update: the same of its gradients.
        updates: By layer, an entry per update: the same of what the update added to its weights.
        same_start: Whether both began with the same weights to the bit.
    """

    labels: tuple[str, str]
    losses: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    loss: list[float] = field(default_factory=list)
    outputs: dict[str, float] = field(default_factory=dict)
    gradients: dict[str, list[float]] = field(default_factory=dict)
    updates: dict[str, list[float]] = field(default_factory=dict)
    same_start: bool = True


def differences(a: Side, b: Side) -> Differences:
    """Walk through two sides at once; only two updates of each are in memory."""
    found = Differences((a.label, b.label))
    before: tuple[Step, Step] | None = None
    for one, other in zip_longest(a.steps(), b.steps()):
        assert one is not None and other is not None, "both sides make as many updates"
        if before is None:
            found.same_start = _same(one.weights, other.weights)
        else:
            _add(found, before, (one, other))
        before = one, other
    return found


def _add(found: Differences, before: tuple[Step, Step], now: tuple[Step, Step]) -> None:
    a, b = now
    for losses, step in zip(found.losses, now, strict=True):
        losses.append(step.loss)
    found.loss.append(relative(a.loss, b.loss))
    for name in a.outputs:
        found.outputs[name] = apart([(a.outputs[name], b.outputs[name])])
    for layer, names in layers_of(a.gradients).items():
        found.gradients.setdefault(layer, []).append(apart((a.gradients[n], b.gradients[n]) for n in names))
        moved = ([s.weights[n] - p.weights[n] for n in names] for p, s in zip(before, now, strict=True))
        found.updates.setdefault(layer, []).append(apart(zip(*moved, strict=True)))


def layers_of(arrays: Arrays) -> dict[str, list[str]]:
    """Weight names by the layer they belong to."""
    layers: dict[str, list[str]] = {}
    for name in arrays:
        layers.setdefault(name.rpartition(".")[0], []).append(name)
    return layers


def relative(a: float, b: float) -> float:
    """|a - b| as a share of |b|; infinite where either is not a number."""
    if not (np.isfinite(a) and np.isfinite(b)):
        return float("inf")
    return 0.0 if a == b else abs(a - b) / max(abs(b), float(np.finfo(np.float64).tiny))


def apart(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> float:
    """The largest difference among pairs of arrays as a share of the largest value among them all."""
    difference = largest = 0.0
    for a, b in pairs:
        if a.shape != b.shape:
            return float("inf")
        if not a.size:
            continue
        with np.errstate(invalid="ignore"):
            difference = max(difference, _largest(a.astype(np.float64) - b.astype(np.float64)))
        largest = max(largest, _largest(a), _largest(b))
    if not (np.isfinite(difference) and np.isfinite(largest)):
        return float("inf")
    return difference / largest if difference else 0.0


def _largest(x: np.ndarray) -> float:
    value = float(np.abs(x).max())
    return value if np.isfinite(value) else float("inf")


def _same(a: Arrays, b: Arrays) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[n], b[n]) for n in a)
