"""What further activations compute, by their formulas; and their slopes where these jump."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

POINTS = np.array([[-7.0, -3.0, -1.5, -0.5, 0.0, 0.5, 1.0, 3.0, 6.5]])


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def gelu_tanh(x: np.ndarray) -> np.ndarray:
    return x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2


FORMULAS: dict[str, tuple[dict[str, Any], Callable[[np.ndarray], np.ndarray]]] = {
    "identity": ({}, lambda x: x),
    "abs": ({}, np.abs),
    "squared_relu": ({}, lambda x: np.maximum(x, 0) ** 2),
    "hard_tanh": ({"low": -0.5, "high": 3.0}, lambda x: np.clip(x, -0.5, 3)),
    "celu": ({"alpha": 0.7}, lambda x: np.where(x > 0, x, 0.7 * np.expm1(x / 0.7))),
    "gelu_tanh": ({}, gelu_tanh),
    "quick_gelu": ({}, lambda x: x * sigmoid(1.702 * x)),
    "log_sigmoid": ({}, lambda x: np.log(sigmoid(x))),
    "log_softmax": ({}, lambda x: x - np.log(np.exp(x).sum(-1, keepdims=True))),
}

SLOPES = [  # kind, fields, where the slope jumps, what it is there
    ("abs", {}, 0.0, 0.0),
    ("hard_tanh", {}, 1.0, 1.0),
    ("hard_tanh", {}, -1.0, 1.0),
    ("celu", {"alpha": 0.7}, 0.0, 1.0),
    ("squared_relu", {}, 0.0, 0.0),
]


@pytest.mark.parametrize("kind", FORMULAS)
def test_formula(kind: str, run_layer: Any) -> None:
    fields, formula = FORMULAS[kind]
    for ran in run_layer(kind, fields, POINTS).values():
        np.testing.assert_allclose(ran.output, formula(POINTS), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("kind", "fields", "at", "slope"), SLOPES)
def test_slope_where_it_jumps(kind: str, fields: dict[str, Any], at: float, slope: float, run_layer: Any) -> None:
    for ran in run_layer(kind, fields, [[at]]).values():
        np.testing.assert_allclose(ran.gradients["input"], [[slope]], rtol=1e-13)


@pytest.mark.parametrize("shape", [(2,), (3, 2), (2, 3, 2), (2, 1, 2, 2)])
@pytest.mark.parametrize("shared", [False, True])
def test_prelu_has_a_slope_for_each_channel(shape: tuple[int, ...], shared: bool, run_layer: Any) -> None:
    x = np.random.default_rng(0).normal(size=(4, *shape))
    slope = np.array([0.3]) if shared else np.array([0.1, -2.0])
    through = np.where(x > 0, 0, x).sum(axis=tuple(range(x.ndim - 1)))
    for ran in run_layer("prelu", {"shared": shared}, x, {"slope": slope}).values():
        np.testing.assert_allclose(ran.output, np.where(x > 0, x, slope * x), rtol=1e-13)
        np.testing.assert_allclose(ran.gradients["l.slope"], through.sum(keepdims=True) if shared else through)


def test_gated_linear_units(run_layer: Any) -> None:
    x = np.array([[1.0, -2.0, 3.0, 0.5]])
    a, b = x[:, :2], x[:, 2:]
    cases: list[tuple[dict[str, Any], np.ndarray]] = [
        ({}, a * sigmoid(b)),
        ({"gate": "silu", "gate_first": True}, b * a * sigmoid(a)),
        ({"gate": "identity"}, a * b),
    ]
    for fields, expected in cases:
        for ran in run_layer("glu", fields, x).values():
            np.testing.assert_allclose(ran.output, expected, rtol=1e-13)
