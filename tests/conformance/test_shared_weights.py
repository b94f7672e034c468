"""A shared weight is one weight: the gradient of both uses reaches it, on both backends."""

import numpy as np
import torch

from dlrun.backends.torch.model import build as build_torch
from dlrun.graph import TensorType, build_graph, layers
from dlrun.initializers import initialize


def test_shared_and_frozen_weights_and_two_outputs_mean_the_same() -> None:
    import tensorflow as tf

    from dlrun.backends.tensorflow import weights as tf_weights
    from dlrun.backends.tensorflow.model import build as build_tensorflow

    dense = layers.get("dense")
    specs = (
        dense(units=5, name="first", activation="tanh"),
        dense(units=5, name="fixed", trainable=False),
        dense(units=5, share="first", name="again", activation="tanh"),
        dense(units=2, name="side"),
        dense(units=3, name="main", inputs=("again",)),
    )
    graph = build_graph(specs, TensorType((5,)), outputs=("main", "side"))
    values = {name: initialize(w.initializer, w.shape, 3, name) for name, w in graph.weights()}
    x = np.random.default_rng(0).standard_normal((6, 5))
    # by hand: tanh(f(tanh(x W)) W), and the derivative of the sums of squares by finite differences
    kernel, fixed = values["first.kernel"], values["fixed.kernel"]

    def total(w: np.ndarray) -> float:
        h = np.tanh(np.tanh(x @ w) @ fixed @ w)
        return float(((h @ values["main.kernel"]) ** 2).sum() + ((h @ values["side.kernel"]) ** 2).sum())

    step = np.zeros_like(kernel)
    step[1, 2] = 1e-6
    expected = (total(kernel + step) - total(kernel - step)) / 2e-6

    model = build_torch(graph, values, torch.device("cpu"), torch.float64)
    main, side = model.module(torch.from_numpy(x))
    (main.square().sum() + side.square().sum()).backward()
    bound = {b.name: b for b in model.bound}
    assert set(bound) == set(values)
    assert not bound["fixed.kernel"].tensor.requires_grad
    torch_gradient = bound["first.kernel"].read(bound["first.kernel"].tensor.grad)
    np.testing.assert_allclose(torch_gradient[1, 2], expected, rtol=1e-7)

    network = build_tensorflow(graph, "float64")
    tf_weights.load(network.weights, values)
    assert set(network.weights) == set(values)
    with tf.GradientTape() as tape:
        main_tf, side_tf = network.model(tf.constant(x), training=True)
        loss = tf.reduce_sum(main_tf**2) + tf.reduce_sum(side_tf**2)
    gradient = tape.gradient(loss, network.weights["first.kernel"]).numpy()
    np.testing.assert_allclose(main_tf.numpy(), main.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(gradient, torch_gradient, rtol=1e-12)
