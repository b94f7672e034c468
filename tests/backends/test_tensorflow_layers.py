"""TensorFlow lowerings: every example's shape, a numpy reference of the windowed ones, gradients by differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from dlrun.backends.tensorflow.model import Network, build  # noqa: E402  (sets up Keras)
from dlrun.backends.tensorflow.weights import read, write  # noqa: E402

import tensorflow as tf  # noqa: E402  # isort: skip

from dlrun.graph import Composite, Example, Graph, Layer, TensorType, build_graph, layers  # noqa: E402

EXAMPLES = [
    pytest.param(kind, example, id=f"{kind}-{i}")
    for kind in layers
    for i, example in enumerate(layers.get(kind).examples)
    if example.raises is None
    and not issubclass(layers.get(kind), Composite)
    and all(x.dtype == "float" for x in example.inputs)  # ids and masks are met in the conformance suite
]


def graph_of(kind: str, example: Example) -> Graph:
    """The layer alone; several inputs are reshaped copies of pieces of one."""
    cls = layers.get(kind)
    if len(example.inputs) == 1:
        return build_graph([cls(**example.fields)], example.inputs[0])
    parts: list[Layer] = []
    for i, x in enumerate(example.inputs):
        parts.append(layers.get("dense")(units=x.size, inputs=("input",), name=f"cut{i}"))
        parts.append(layers.get("reshape")(shape=x.shape, name=f"piece{i}"))
    names = tuple(f"piece{i}" for i in range(len(example.inputs)))
    return build_graph([*parts, cls(**example.fields, inputs=names)], TensorType((5,)))


def network_of(graph: Graph, precision: str = "float64", seed: int = 0) -> Network:
    """The graph with random weights, statistics included."""
    network, rng = build(graph, precision), np.random.default_rng(seed)
    write(network.weights, {n: np.abs(rng.standard_normal(w.shape)) + 0.1 for n, w in network.weights.items()})
    return network


@pytest.mark.parametrize(("kind", "example"), EXAMPLES)
def test_shapes_are_those_inferred(kind: str, example: Example) -> None:
    graph = graph_of(kind, example)
    for precision in ("float64", "float32", "bfloat16", "float16"):
        network = network_of(graph, precision)
        x = np.random.default_rng(1).standard_normal((3, *graph.input.shape))
        y = network.model(tf.constant(x, "float64" if precision == "float64" else "float32"), training=False)
        assert y.shape == (3, *graph.output.shape)
        assert network.model.output.shape == (None, *graph.output.shape)
        assert network.model.output.dtype == y.dtype.name
        assert np.isfinite(tf.cast(y, "float64").numpy()).all()


@pytest.mark.parametrize(("kind", "example"), [p for p in EXAMPLES if p.values[0] != "gradient_reversal"])  # no slope
def test_gradients_are_those_of_finite_differences(kind: str, example: Example) -> None:
    graph = graph_of(kind, example)
    network, rng = network_of(graph), np.random.default_rng(2)
    x = rng.standard_normal((2, *graph.input.shape))
    cotangent, training = rng.standard_normal((2, *graph.output.shape)), kind == "batch_norm"

    def value(x: np.ndarray) -> float:
        return float((network.model(tf.constant(x), training=training).numpy() * cotangent).sum())

    source = tf.constant(x)
    trained = {name: network.weights[name] for name, w in graph.weights() if w.trainable}
    with tf.GradientTape() as tape:
        tape.watch(source)
        total = tf.reduce_sum(network.model(source, training=training) * cotangent)
    found = tape.gradient(total, {"input": source, **trained})

    direction, h = rng.standard_normal(x.shape), 1e-6
    slope = (value(x + h * direction) - value(x - h * direction)) / (2 * h)
    assert float((found["input"].numpy() * direction).sum()) == pytest.approx(slope, rel=1e-6, abs=1e-7)
    for name, variable in trained.items():
        start, direction = variable.numpy(), rng.standard_normal(variable.shape)
        ends = []
        for sign in (1, -1):
            variable.assign(start + sign * h * direction)
            ends.append(value(x))
        variable.assign(start)
        slope = (ends[0] - ends[1]) / (2 * h)
        assert float((found[name].numpy() * direction).sum()) == pytest.approx(slope, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize(("kind", "example"), EXAMPLES)
def test_weights_come_back_as_they_went_in(kind: str, example: Example) -> None:
    graph = graph_of(kind, example)
    network, rng = build(graph, "float32"), np.random.default_rng(3)
    arrays = {name: rng.standard_normal(w.shape).astype("float32") for name, w in graph.weights()}
    write(network.weights, arrays)
    back = read(network.weights)
    assert list(back) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array)
    trainable = {f"{n.name}.{w.name}" for n in graph.nodes for w in n.weights if w.trainable}
    assert {n for n, v in network.variables.items() if v.trainable} == trainable


REFERENCES: dict[str, Callable[[Any, np.ndarray, dict[str, np.ndarray]], np.ndarray]] = {
    "dense": lambda layer, x, w: x @ w["kernel"] + w.get("bias", 0),
    "batch_norm": lambda layer, x, w: (
        w.get("scale", 1) * (x - w["mean"]) / np.sqrt(w["variance"] + layer.epsilon) + w.get("shift", 0)
    ),
    "layer_norm": lambda layer, x, w: (
        w.get("scale", 1) * (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + layer.epsilon)
        + w.get("shift", 0)
    ),
    "flatten": lambda layer, x, w: x.reshape(len(x), -1),
    "softmax": lambda layer, x, w: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("kind", "example"), [p for p in EXAMPLES if p.values[0] in REFERENCES])
def test_values_are_those_of_a_loop_in_numpy(kind: str, example: Example, dtype: str) -> None:
    layer = layers.get(kind)(**{**example.fields, **({"activation": None} if "activation" in example.fields else {})})
    graph = build_graph([layer], example.inputs[0])
    network = network_of(graph, dtype)
    x = np.random.default_rng(4).standard_normal((3, *graph.input.shape)).astype(dtype)
    weights = {name.rpartition(".")[2]: w.astype("float64") for name, w in read(network.weights).items()}
    expected = REFERENCES[kind](layer, x.astype("float64"), weights)
    found = network.model(tf.constant(x), training=False).numpy()
    assert found.dtype == dtype
    np.testing.assert_allclose(
        found, expected, rtol=0, atol=(1e-13 if dtype == "float64" else 2e-6) * abs(expected).max()
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", [(4, 5, 3), (6, 3), (3,)])
def test_batch_norm_moves_unbiased_statistics(shape: tuple[int, ...], dtype: str) -> None:
    graph = build_graph([layers.get("batch_norm")(momentum=0.3)], TensorType(shape))
    network = network_of(graph, dtype)
    before = read(network.weights)
    x = (2 + 3 * np.random.default_rng(5).standard_normal((7, *shape))).astype(dtype)
    y = network.model(tf.constant(x), training=True).numpy()
    after, axes = read(network.weights), tuple(range(x.ndim - 1))
    moved = {"mean": x.mean(axes), "variance": x.var(axes, ddof=1)}
    tolerance = 1e-13 if dtype == "float64" else 1e-5
    for name, batch in moved.items():
        expected = 0.7 * before[f"batch_norm_1.{name}"] + 0.3 * batch
        np.testing.assert_allclose(after[f"batch_norm_1.{name}"], expected, rtol=tolerance)
    scale, shift = before["batch_norm_1.scale"], before["batch_norm_1.shift"]
    expected = scale * (x - x.mean(axes)) / np.sqrt(x.var(axes) + 1e-5) + shift
    np.testing.assert_allclose(y, expected, rtol=0, atol=tolerance * 10)


def test_low_precision_leaves_norms_and_weights_in_float32() -> None:
    specs = [layers.get(k)(**f) for k, f in (("dense", {"units": 4}), ("batch_norm", {}), ("softmax", {}))]
    network = build(build_graph(specs, TensorType((3,))), "bfloat16")
    dense, norm, softmax = network.model.layers[1:]
    assert {v.dtype for v in network.variables.values()} == {"float32"}
    assert (dense.compute_dtype, norm.compute_dtype) == ("bfloat16", "float32")
    assert (dense.output.dtype, softmax.output.dtype) == ("bfloat16", "float32")


def test_a_keras_user_recognises_the_model() -> None:
    specs = [
        layers.get("conv2d")(filters=2, kernel=3, activation="relu", name="_first"),
        layers.get("repeat")(times=2, layers=(layers.get("batch_norm")(),), name="block"),
        layers.get("max_pool2d")(size=2),
        layers.get("flatten")(),
        layers.get("dense")(units=3),
    ]
    graph = build_graph(specs, TensorType((6, 6, 1)))
    model = build(graph, "float32", name="my recipe/é").model
    kinds = [type(layer).__name__ for layer in model.layers[1:]]
    assert kinds == ["Conv2D", "ReLU", "BatchNormalization", "BatchNormalization", "MaxPooling2D", "Flatten", "Dense"]
    assert model.get_layer(graph.nodes[2].name) is model.layers[3]
    lines: list[str] = []
    model.summary(print_fn=lambda line, line_break=False: lines.append(line))
    assert "my_recipe" in "\n".join(lines) and "Conv2D" in "\n".join(lines)
    assert model(np.zeros((2, 6, 6, 1), "float32")).shape == (2, 3)
