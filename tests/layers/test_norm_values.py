"""What the norms and scalings compute, by numpy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from dlrun.graph import TensorType, build_graph, layers

GRID = np.random.default_rng(0).normal(3, 2, (2, 3, 2, 4))
SCALE, SHIFT = np.array([1.0, 2, 0.5, -1]), np.array([0.0, 1, -2, 3])


def grouped(x: np.ndarray, groups: int, epsilon: float) -> np.ndarray:
    parts = x.reshape(len(x), -1, groups, x.shape[-1] // groups)
    y = (parts - parts.mean((1, 3), keepdims=True)) / np.sqrt(parts.var((1, 3), keepdims=True) + epsilon)
    return y.reshape(x.shape)


CASES: list[tuple[str, dict[str, Any], np.ndarray]] = [
    ("group_norm", {"groups": 2, "epsilon": 0.1}, grouped(GRID, 2, 0.1)),
    ("group_norm", {"groups": 1}, grouped(GRID, 1, 1e-5)),
    ("instance_norm", {"epsilon": 0.1}, grouped(GRID, 4, 0.1)),
    ("rms_norm", {"epsilon": 0.1}, GRID / np.sqrt((GRID**2).mean(-1, keepdims=True) + 0.1)),
    (
        "layer_norm",
        {"epsilon": 0.1},
        (GRID - GRID.mean(-1, keepdims=True)) / np.sqrt(GRID.var(-1, keepdims=True) + 0.1),
    ),
    ("batch_norm", {"epsilon": 0.1}, (GRID - 1) / math.sqrt(4 + 0.1)),
    ("scale", {}, GRID),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c[0])
@pytest.mark.parametrize("drop", [(), ("scale",), ("shift",), ("scale", "shift")], ids=str)
def test_norms_by_numpy(case: tuple[str, dict[str, Any], np.ndarray], drop: tuple[str, ...], run_layer: Any) -> None:
    kind, fields, normal = case
    has = {w for w in ("scale", "shift") if w in layers.get(kind).__dataclass_fields__} - set(drop)
    if kind == "scale":
        has = {"scale", "shift"} - set(drop)
        fields = {"shift": "shift" in has}
        has |= {"scale"}
    else:
        fields = fields | {w: False for w in drop if w in layers.get(kind).__dataclass_fields__}
    weights = {"scale": SCALE, "shift": SHIFT}
    weights = {w: weights[w] for w in has}
    if kind == "batch_norm":
        weights |= {"mean": np.full(4, 1.0), "variance": np.full(4, 4.0)}
    expected = normal * (SCALE if "scale" in has else 1) + (SHIFT if "shift" in has else 0)
    for ran in run_layer(kind, fields, GRID, weights).values():
        np.testing.assert_allclose(ran.output, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("shape", [(3, 2, 4), (6, 4), (4,), (2, 2, 3, 4)])
def test_a_frozen_batch_norm_uses_and_keeps_its_running_statistics(shape: tuple[int, ...], run_layer: Any) -> None:
    x = np.random.default_rng(1).normal(3, 2, (5, *shape))
    weights = {"scale": SCALE, "shift": SHIFT, "mean": SHIFT + 1, "variance": SCALE**2 + 1}
    expected = (x - weights["mean"]) / np.sqrt(weights["variance"] + 1e-5) * SCALE + SHIFT
    for ran in run_layer("batch_norm", {"trainable": False}, x, weights, training=True).values():
        np.testing.assert_allclose(ran.output, expected, rtol=1e-12, atol=1e-13)
        np.testing.assert_array_equal(ran.weights["l.mean"], weights["mean"])
        np.testing.assert_array_equal(ran.weights["l.variance"], weights["variance"])
        assert set(ran.gradients) == {"input"}


def test_scale_starts_where_it_is_told() -> None:
    graph = build_graph([layers.get("scale")(initial=1e-6, shift=True)], TensorType((4, 3)))
    (_, scale), (_, shift) = graph.weights()
    assert (scale.initializer.value, shift.initializer) == (1e-6, "zeros")


def test_scale_by(run_layer: Any) -> None:
    for ran in run_layer("scale_by", {"factor": -0.1, "offset": 2.0}, GRID).values():
        np.testing.assert_allclose(ran.output, 2 - 0.1 * GRID, rtol=1e-13)
