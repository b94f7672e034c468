"""Models of many layers, where names, branches and repeated parts meet."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlrun.graph import Graph, TensorType, build_graph, layers
from dlrun.initializers import initialize
from dlrun.randomness import stream


def layer(kind: str, **fields: Any) -> Any:
    return layers.get(kind)(**fields)


def chain() -> Graph:
    """The shape of most recipes: a stack."""
    return build_graph(
        [
            layer("conv2d", filters=6, kernel=3, activation="relu"),
            layer("batch_norm"),
            layer("max_pool2d", size=2),
            layer("repeat", times=2, layers=(layer("conv2d", filters=6, kernel=3, padding="same"), layer("gelu"))),
            layer("flatten"),
            layer("dropout", rate=0.4),
            layer("dense", units=5),
        ],
        TensorType((10, 9, 2)),
    )


def branches() -> Graph:
    """Layers that read far back, and a residual with a shortcut."""
    inner = (layer("conv2d", filters=6, kernel=3, padding="same", activation="silu"), layer("batch_norm"))
    return build_graph(
        [
            layer("conv2d", filters=4, kernel=3, padding="same", name="stem"),
            layer("residual", layers=inner, shortcut=(layer("conv2d", filters=6, kernel=1),), activation="relu"),
            layer("avg_pool2d", size=3, stride=2, padding="same", name="left"),
            layer("max_pool2d", size=3, stride=2, padding="same", inputs=("stem",), name="right"),
            layer("concat", inputs=("left", "right")),
            layer("global_avg_pool2d"),
            layer("layer_norm"),
            layer("dense", units=3, activation="tanh"),
        ],
        TensorType((8, 8, 3)),
    )


@pytest.mark.parametrize("make", [chain, branches])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_models_agree_in_double_precision(make: Any, training: bool, natives: dict[str, Any]) -> None:
    graph = make()
    weights = {name: initialize(w.initializer, w.shape, 0, name) for name, w in graph.weights()}
    x = stream(0, "x").standard_normal((6, *graph.input.shape))
    cotangent = stream(0, "g").standard_normal((6, *graph.output.shape))
    ours, theirs = (natives[n].run(graph, weights, x, cotangent, training) for n in ("torch", "tensorflow"))
    np.testing.assert_allclose(ours.output, theirs.output, rtol=0, atol=1e-12 * np.abs(theirs.output).max())
    for part in ("gradients", "weights"):
        for name, value in getattr(theirs, part).items():
            scale = 1e-12 * max(1.0, np.abs(value).max())
            np.testing.assert_allclose(getattr(ours, part)[name], value, rtol=0, atol=scale, err_msg=name)
