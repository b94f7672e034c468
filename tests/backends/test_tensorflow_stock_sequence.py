"""Layers over sequences said with Keras' own: the saved file answers what the model answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from dlrun.backends.tensorflow.model import build  # noqa: E402  (sets up Keras)
from dlrun.backends.tensorflow.stock import stock_model  # noqa: E402
from dlrun.backends.tensorflow.weights import write  # noqa: E402

import keras  # noqa: E402  # isort: skip
import tensorflow as tf  # noqa: E402  # isort: skip

from dlrun.data.preprocessing import Preprocessing  # noqa: E402
from dlrun.graph import Layer, TensorType, build_graph, layers  # noqa: E402
from dlrun.randomness import stream  # noqa: E402

IDS = np.array([[3, 1, 2, 4, 6], [5, 2, 0, 0, 0], [0, 0, 0, 0, 0], [1, 6, 6, 1, 0]])


def layer(kind: str, **fields: Any) -> Layer:
    return layers.get(kind)(**fields)


def padded(kind: str, *more: str, **fields: Any) -> list[Layer]:
    return [
        layer("padding_mask", name="mask"),
        layer("embedding", vocabulary=7, units=6, inputs=("input",), name="x"),
        layer(kind, inputs=("x", *more, "mask"), **fields),
    ]


MODELS = {
    "ids": [
        layer("shift_right", start=2),
        layer("embedding", vocabulary=7, units=4, multiplier=2.0, name="x"),
        layer("sinusoidal_position"),
        layer("learned_position", length=9),
        layer("class_token"),
        layer("bias"),
        layer("embedding_logits", vocabulary=7, share="x"),
    ],
    "lstm": padded("lstm", units=3, bidirectional=True),
    "gru": padded("gru", units=3, bidirectional=True, return_sequences=False),
    "simple_rnn": padded("simple_rnn", units=3, nonlinearity="relu"),
    "unmasked": [layer("embedding", vocabulary=7, units=4), layer("gru", units=3), layer("last")],
    "last": padded("last"),
    "attention": padded("self_attention", heads=3, head_units=2, kv_heads=1, rotary=True, causal=True),
    "pointer": padded("copy_head", "x", "input", vocabulary=7),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_keras_file_answers_alike(name: str, tmp_path: Path) -> None:
    graph = build_graph(MODELS[name], TensorType((5,), "int"))
    weights = {n: stream(1, n).uniform(-1, 1, w.shape).astype("float32") for n, w in graph.weights()}
    network = build(graph, "float32")
    write(network.weights, weights)
    expected = network.model(tf.constant(IDS), training=False).numpy()
    stock_model(graph, weights, Preprocessing.begin(1.0, 1), "int64").save(tmp_path / "model.keras")
    found = keras.models.load_model(tmp_path / "model.keras")(IDS).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * np.abs(expected).max())
