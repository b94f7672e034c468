"""Every layer in every example: both backends give the same numbers, gradients, shapes and errors.

Parametrised over the registry: a new layer is tested by being registered.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from dlrun.errors import DlrunErrors
from dlrun.graph import Composite, Example, Graph, Layer, TensorType, build_graph, layers
from dlrun.initializers import initialize
from dlrun.randomness import stream
from dlrun.registry import Registry

SAMPLES = 4
TOLERANCE = {"float64": 1e-12, "float32": 5e-6}
"""Largest difference, as a share of the largest value."""

KINKS = (0.0, -0.0, 1e-8, -1e-8, 40.0, -40.0, 100.0, -100.0, 3.0, -3.0, 6.0, -6.0, 1.0, -1.0)
"""Where element-wise functions bend, saturate or overflow."""

UNSATURATED = {
    "simple_rnn": "at inputs of 100 the slope of tanh is what rounding leaves of 1 - h^2, times 100",
}
"""Layers that meet no kinks, and why; nor do composites, whose parts meet them alone."""

IDS = 7
"""Ids are drawn below it."""

CASES = [
    pytest.param(kind, i, id=f"{kind}-{i}")
    for kind in layers
    for i, example in enumerate(layers.get(kind).examples)
    if example.raises is None
]
MISTAKES = [
    pytest.param(kind, i, id=f"{kind}-{i}")
    for kind in layers
    for i, example in enumerate(layers.get(kind).examples)
    if example.raises is not None
]


_tools: Registry[Layer] = Registry("tool")


@_tools("bits")
class Bits(Layer):
    """1 where a number is above 0, else 0: masks and ids beside numbers."""

    def infer(self, *inputs: TensorType) -> TensorType:
        return TensorType(inputs[0].shape, "int")

    def forward_torch(self, x: Any) -> Any:
        return (x.detach() > 0).long()

    def forward_tensorflow(self, x: Any) -> Any:
        import tensorflow as tf

        return tf.cast(x > 0, tf.int64)


def specs_of(kind: str, example: Example) -> tuple[list[Layer], TensorType]:
    """The layer in a model of one input; several inputs are cut out of one by 0/1 kernels, exactly."""
    cls = layers.get(kind)
    if len(example.inputs) == 1:
        return [cls(**example.fields, name="tested")], example.inputs[0]
    dense, reshape = layers.get("dense"), layers.get("reshape")
    specs: list[Layer] = []
    for i, x in enumerate(example.inputs):
        specs.append(dense(units=x.size, bias=False, inputs=("input",), name=f"cut{i}", trainable=False))
        whole = x.dtype == "int"
        specs.append(reshape(shape=x.shape, name=f"shape{i}" if whole else f"read{i}"))
        if whole:
            specs.append(Bits(name=f"read{i}"))
    names = tuple(f"read{i}" for i in range(len(example.inputs)))
    return [*specs, cls(**example.fields, inputs=names, name="tested")], TensorType(
        (sum(x.size for x in example.inputs),)
    )


def weights_of(graph: Graph) -> dict[str, np.ndarray]:
    """Weights away from their starting values, so that a forgotten one shows."""
    weights, first = {}, 0
    for name, w in graph.weights():
        if name.startswith("cut"):
            weights[name] = np.eye(w.shape[0])[:, first : first + w.shape[1]]
            first += w.shape[1]
            continue
        start = initialize(w.initializer, w.shape, 0, name)
        moved = stream(1, name).uniform(-0.5, 0.5, w.shape)
        weights[name] = start + moved if w.trainable else start + np.abs(moved)
    return weights


def samples_of(kind: str, x: TensorType, dtype: str) -> np.ndarray:
    """Ids, or two ordinary samples, one of whole numbers (ties), one of kinks."""
    if x.dtype == "int":
        return stream(2, str(x)).integers(0, IDS, (SAMPLES, *x.shape))
    values = 2 * stream(2, str(x)).standard_normal((SAMPLES, x.size))
    values[2] = np.round(values[2])
    if kind not in UNSATURATED and not issubclass(layers.get(kind), Composite):
        values[3] = np.resize(np.asarray(KINKS), x.size)
    return values.reshape(SAMPLES, *x.shape).astype(dtype)


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference as a share of the largest value."""
    assert a.shape == b.shape
    return float(np.abs(a - b).max(initial=0.0) / max(np.abs(b).max(initial=0.0), 1e-30))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize(("kind", "index"), CASES)
def test_both_backends_agree(kind: str, index: int, training: bool, dtype: str, natives: dict[str, Any]) -> None:
    specs, input_type = specs_of(kind, layers.get(kind).examples[index])
    graph = build_graph(specs, input_type)
    weights = {name: w.astype(dtype) for name, w in weights_of(graph).items()}
    x = samples_of(kind, input_type, dtype)
    cotangent = stream(3, kind).standard_normal((SAMPLES, *graph.output.shape)).astype(dtype)

    ran = {name: native.run(graph, weights, x, cotangent, training) for name, native in natives.items()}
    ours, theirs = ran["torch"], ran["tensorflow"]

    for name, result in ran.items():
        assert result.output.shape == (SAMPLES, *graph.output.shape), f"{name}: inferred {graph.output}"
        assert np.isfinite(result.output).all(), name
    found = {"output": difference(ours.output, theirs.output)}
    found |= {f"d {k}": difference(ours.gradients[k], theirs.gradients[k]) for k in theirs.gradients}
    found |= {f"after {k}": difference(ours.weights[k], theirs.weights[k]) for k in theirs.weights}
    assert set(ours.gradients) == set(theirs.gradients)
    wrong = {what: share for what, share in found.items() if not share <= TOLERANCE[dtype]}
    assert not wrong


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("kind", "index"), CASES)
def test_weights_come_back_as_they_went_in(kind: str, index: int, dtype: str, natives: dict[str, Any]) -> None:
    specs, input_type = specs_of(kind, layers.get(kind).examples[index])
    graph = build_graph(specs, input_type)
    weights = {name: w.astype(dtype) for name, w in weights_of(graph).items()}
    x = samples_of(kind, input_type, dtype)
    cotangent = np.zeros((SAMPLES, *graph.output.shape), dtype)
    for native in natives.values():
        after = native.run(graph, weights, x, cotangent, training=False).weights
        assert list(after) == list(weights)
        for name, value in weights.items():
            assert after[name].dtype == value.dtype
            np.testing.assert_array_equal(after[name], value)


@pytest.mark.parametrize(("kind", "index"), MISTAKES)
def test_mistakes_are_caught_before_any_backend(kind: str, index: int) -> None:
    example = layers.get(kind).examples[index]
    specs, input_type = specs_of(kind, example)
    with pytest.raises(DlrunErrors) as caught:
        build_graph(specs, input_type)
    assert example.raises in [e.code for e in caught.value.errors]
    assert all("`" in e.message and e.path for e in caught.value.errors)


def test_a_difference_is_measured() -> None:
    """The ruler itself: a NaN, a shift and a swap are seen."""
    a = np.arange(4.0)
    assert difference(a, a) == 0.0
    assert difference(a, a[::-1]) == pytest.approx(1.0)
    assert math.isnan(difference(a * np.nan, a))
