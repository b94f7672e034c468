"""What layers compute, against numbers worked by hand or a few lines of numpy: agreement is not truth."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlrun.graph import Composite, TensorType, build_graph, layers
from dlrun.randomness import derive, keep_mask, step_key

erf = np.vectorize(math.erf)
POINTS = np.array([[-7.0, -3.0, -1.5, -0.5, 0.0, 0.5, 1.0, 3.0, 6.5]])


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softplus(x: np.ndarray) -> np.ndarray:
    return np.log1p(np.exp(x))


ELEMENTWISE: dict[str, tuple[dict[str, Any], Callable[[np.ndarray], np.ndarray]]] = {
    "relu": ({}, lambda x: np.maximum(x, 0)),
    "relu6": ({}, lambda x: np.clip(x, 0, 6)),
    "leaky_relu": ({"slope": 0.1}, lambda x: np.where(x > 0, x, 0.1 * x)),
    "elu": ({"alpha": 0.7}, lambda x: np.where(x > 0, x, 0.7 * np.expm1(x))),
    "selu": ({}, lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x))),
    "gelu": ({}, lambda x: x * (1 + erf(x / math.sqrt(2))) / 2),
    "silu": ({}, lambda x: x * sigmoid(x)),
    "mish": ({}, lambda x: x * np.tanh(softplus(x))),
    "softplus": ({}, softplus),
    "softsign": ({}, lambda x: x / (1 + np.abs(x))),
    "sigmoid": ({}, sigmoid),
    "tanh": ({}, np.tanh),
    "hard_sigmoid": ({}, lambda x: np.clip((x + 3) / 6, 0, 1)),
    "hard_swish": ({}, lambda x: x * np.clip((x + 3) / 6, 0, 1)),
}

SLOPES = {  # at points where a derivative jumps, the one that is promised
    "relu": (0.0, 0.0),
    "leaky_relu": (0.0, 0.01),
    "selu": (0.0, 1.7580993408473766),
    "relu6": (6.0, 0.0),
    "hard_sigmoid": (-3.0, 0.0),
}

IMAGE = np.arange(1.0, 17.0).reshape(1, 4, 4, 1)
VECTOR = np.array([[1.0, 2.0, 6.0]])
GRID = np.arange(12.0).reshape(1, 2, 3, 2)

# kind, fields, input, weights, output; all by hand
VALUES: list[tuple[str, dict[str, Any], np.ndarray, dict[str, Any], Any]] = [
    ("dense", {"units": 2}, VECTOR, {"kernel": [[1, 0], [0, 1], [1, -1]], "bias": [0.5, 0]}, [[7.5, -4]]),
    # the kernel is not flipped: its first tap meets the window's first cell
    ("conv2d", {"filters": 1, "kernel": 2}, IMAGE[:, :2, :3], {"kernel": [[1, 0], [0, 0]]}, [[1, 2]]),
    # rows of 4 under `same`, stride 2, kernel 3: one cell is added, after
    (
        "conv2d",
        {"filters": 1, "kernel": 3, "stride": 2, "padding": "same"},
        IMAGE,
        {"kernel": np.ones((3, 3))},
        [[54, 45], [72, 54]],
    ),
    ("conv2d", {"filters": 1, "kernel": 2, "dilation": 3}, IMAGE, {"kernel": [[1, 1], [1, 1]]}, [[1 + 4 + 13 + 16]]),
    ("max_pool2d", {"size": 2}, IMAGE, {}, [[6, 8], [14, 16]]),
    ("max_pool2d", {"size": 3, "stride": 2, "padding": "same"}, -IMAGE, {}, [[-1, -3], [-9, -11]]),
    ("avg_pool2d", {"size": 2}, IMAGE, {}, [[3.5, 5.5], [11.5, 13.5]]),
    # cells that are only padding do not count
    ("avg_pool2d", {"size": 3, "stride": 2, "padding": "same"}, IMAGE, {}, [[6, 7.5], [12, 13.5]]),
    ("avg_pool2d", {"size": 3, "stride": 1, "padding": "same"}, IMAGE[:, :2, :2], {}, [[3.5, 3.5], [3.5, 3.5]]),
    ("global_avg_pool2d", {}, GRID, {}, [[5, 6]]),
    ("global_max_pool2d", {}, GRID, {}, [[10, 11]]),
    ("flatten", {}, GRID, {}, [np.arange(12)]),
    ("reshape", {"shape": (3, 2, 2)}, GRID, {}, np.arange(12).reshape(1, 3, 2, 2)),
    ("reshape", {"shape": (4, 3)}, GRID, {}, np.arange(12).reshape(1, 4, 3)),
    ("softmax", {}, np.log(VECTOR), {}, [[1 / 9, 2 / 9, 6 / 9]]),
    # mean 3, variance 14 / 3
    (
        "layer_norm",
        {"epsilon": 0.0},
        VECTOR,
        {"scale": [1, 1, 2], "shift": [0, 0, 1]},
        [[-2 / math.sqrt(14 / 3), -1 / math.sqrt(14 / 3), 1 + 6 / math.sqrt(14 / 3)]],
    ),
    (
        "batch_norm",
        {"epsilon": 1.0},
        VECTOR,
        {"scale": [1, 2, 1], "shift": [0, 0, 5], "mean": [0, 1, 2], "variance": [0, 3, 15]},
        [[1, 1, 6]],
    ),
    ("dropout", {"rate": 0.5}, VECTOR, {}, VECTOR),
]
BRANCHED = {"add": [[3.0, 6.0, 12.0]], "concat": [[1.0, 2.0, 6.0, 2.0, 4.0, 6.0]]}


def run(natives: dict[str, Any], kind: str, fields: dict[str, Any], x: Any, weights: Any = (), training: bool = False):
    """The layer on each backend in float64, seeing gradients of the plain sum."""
    x = np.asarray(x, np.float64)
    graph = build_graph([layers.get(kind)(**fields, name="l")], TensorType(x.shape[1:]))
    given = {name: np.zeros(w.shape) for name, w in graph.weights()}
    for name, value in dict(weights).items():
        given[f"l.{name}"] = np.reshape(np.asarray(value, np.float64), given[f"l.{name}"].shape)
    ones = np.ones((len(x), *graph.output.shape))
    return {name: native.run(graph, given, x, ones, training) for name, native in natives.items()}


@pytest.mark.parametrize("kind", ELEMENTWISE)
def test_elementwise(kind: str, natives: dict[str, Any]) -> None:
    fields, formula = ELEMENTWISE[kind]
    for ran in run(natives, kind, fields, POINTS).values():
        np.testing.assert_allclose(ran.output, formula(POINTS), rtol=1e-13, atol=1e-14)


def test_gelu_by_tanh(natives: dict[str, Any]) -> None:
    expected = POINTS * (1 + np.tanh(math.sqrt(2 / math.pi) * (POINTS + 0.044715 * POINTS**3))) / 2
    for ran in run(natives, "gelu", {"approximate": "tanh"}, POINTS).values():
        np.testing.assert_allclose(ran.output, expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("kind", SLOPES)
def test_the_slope_where_it_jumps(kind: str, natives: dict[str, Any]) -> None:
    at, slope = SLOPES[kind]
    for ran in run(natives, kind, {}, [[at]]).values():
        np.testing.assert_allclose(ran.gradients["input"], [[slope]], rtol=1e-13)


@pytest.mark.parametrize("case", VALUES, ids=lambda c: c[0])
def test_values(case: tuple[str, dict[str, Any], np.ndarray, dict[str, Any], Any], natives: dict[str, Any]) -> None:
    kind, fields, x, weights, expected = case
    for ran in run(natives, kind, fields, x, weights).values():
        np.testing.assert_allclose(ran.output.reshape(np.shape(expected) or -1), expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("kind", BRANCHED)
def test_branches(kind: str, natives: dict[str, Any]) -> None:
    double = layers.get("dense")(units=3, bias=False, name="twice")
    graph = build_graph([double, layers.get(kind)(inputs=("input", "twice"))], TensorType((3,)))
    kernel = np.diag([2.0, 2.0, 1.0])
    for native in natives.values():
        ran = native.run(graph, {"twice.kernel": kernel}, VECTOR, np.ones((1, *graph.output.shape)), False)
        np.testing.assert_allclose(ran.output, BRANCHED[kind])


def test_batch_statistics_move_the_running_ones(natives: dict[str, Any]) -> None:
    x = np.array([[0.0], [2.0], [4.0], [6.0]])  # mean 3, biased variance 5, unbiased 20 / 3
    weights = {"scale": [1], "shift": [0], "mean": [1], "variance": [1]}
    for ran in run(natives, "batch_norm", {"momentum": 0.3, "epsilon": 1e-12}, x, weights, training=True).values():
        np.testing.assert_allclose(ran.output, (x - 3) / math.sqrt(5), rtol=1e-12)
        np.testing.assert_allclose(ran.weights["l.mean"], [0.7 * 1 + 0.3 * 3], rtol=1e-13)
        np.testing.assert_allclose(ran.weights["l.variance"], [0.7 * 1 + 0.3 * 20 / 3], rtol=1e-13)


@pytest.mark.parametrize("shape", [(500,), (5, 4, 3)])
def test_dropout_keeps_what_the_portable_mask_keeps(shape: tuple[int, ...], natives: dict[str, Any]) -> None:
    x = np.ones((8, *shape))
    keep = keep_mask(step_key(derive(0, "dropout", "l"), 3), x.shape, 0.25)
    for ran in run(natives, "dropout", {"rate": 0.25}, x, training=True).values():
        np.testing.assert_allclose(ran.output, keep / 0.75, rtol=1e-13)
        np.testing.assert_allclose(ran.gradients["input"], keep / 0.75, rtol=1e-13)


def test_ties_share_or_keep_the_gradient_as_promised(natives: dict[str, Any]) -> None:
    x = np.ones((1, 2, 2, 1))
    for ran in run(natives, "global_max_pool2d", {}, x).values():
        np.testing.assert_allclose(ran.gradients["input"].ravel(), [0.25] * 4)
    for ran in run(natives, "max_pool2d", {"size": 2}, x).values():
        np.testing.assert_allclose(ran.gradients["input"].ravel(), [1, 0, 0, 0])


def test_every_layer_has_its_numbers() -> None:
    """Agreement of backends is not truth: some test beside this one names each layer."""
    named = {
        word for file in Path(__file__).parent.glob("test_*.py") for word in re.findall(r'"(\w+)"', file.read_text())
    }
    named |= {"attention_scores", "dot_product_attention", "pointer_logits"}  # by self_attention and copy_head
    missing = [kind for kind in layers if kind not in named and not issubclass(layers.get(kind), Composite)]
    assert not missing
