"""Two towers that share weights part by part stay one tower, on both backends."""

import numpy as np
import torch

from dlrun.backends.torch.model import build as build_torch
from dlrun.graph import Graph, TensorType, build_graph, layers
from dlrun.initializers import initialize

STEPS, RATE = 3, 0.05


def towers() -> Graph:
    dense = layers.get("dense")

    def tower(**fields: object) -> object:
        inner = layers.get("residual")(name="block", layers=(dense(units=4, activation="tanh"),))
        return layers.get("sequence")(layers=(dense(units=4, name="first"), inner), inputs=("input",), **fields)

    specs = tower(name="left"), tower(name="right", share="left"), layers.get("multiply")(inputs=("left", "right"))
    return build_graph(specs, TensorType((3,)), outputs=("left", "right", "multiply_1"))


def test_two_towers_stay_equal_while_they_are_trained() -> None:
    import tensorflow as tf

    from dlrun.backends.tensorflow import weights as tf_weights
    from dlrun.backends.tensorflow.model import build as build_tensorflow

    graph = towers()
    values = {name: initialize(w.initializer, w.shape, 3, name) for name, w in graph.weights()}
    assert list(values) == [
        "left.first.kernel",
        "left.first.bias",
        "left.block.dense_1.kernel",
        "left.block.dense_1.bias",
    ]
    assert graph.parameters == sum(v.size for v in values.values())
    x = np.random.default_rng(0).standard_normal((6, 3))

    model = build_torch(graph, values, torch.device("cpu"), torch.float64)
    assert sum(p.numel() for p in model.module.parameters()) == graph.parameters
    sgd = torch.optim.SGD(model.module.parameters(), lr=RATE)
    for _ in range(STEPS):
        left, right, product = model.module(torch.from_numpy(x))
        torch.testing.assert_close(left, right, rtol=0, atol=0)
        sgd.zero_grad()
        product.sum().backward()
        sgd.step()
    mine = {b.name: b.read(b.tensor) for b in model.bound}

    network = build_tensorflow(graph, "float64")
    tf_weights.load(network.weights, values)
    assert set(network.weights) == set(values)
    for _ in range(STEPS):
        with tf.GradientTape() as tape:
            left, right, product = network.model(tf.constant(x), training=True)
            loss = tf.reduce_sum(product)
        np.testing.assert_array_equal(left.numpy(), right.numpy())
        gradients = tape.gradient(loss, list(network.weights.values()))
        for weight, gradient in zip(network.weights.values(), gradients, strict=True):
            weight.assign_sub(RATE * gradient)
    for name, weight in network.weights.items():
        assert not np.array_equal(weight.numpy(), values[name])
        np.testing.assert_allclose(weight.numpy(), mine[name], rtol=1e-9, err_msg=name)
