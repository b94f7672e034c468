"""One layer on both backends in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dlrun.graph import TensorType, build_graph, layers

RunLayer = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def run_layer(natives: dict[str, Any]) -> RunLayer:
    """``run_layer(kind, fields, x, weights, training)``: a pass through each backend, under a cotangent of ones.

    Weights are those of the layer, by name; the others are 0.
    """

    def run(kind: str, fields: dict[str, Any], x: Any, weights: Any = (), training: bool = False) -> dict[str, Any]:
        x = np.asarray(x, np.float64)
        graph = build_graph([layers.get(kind)(**fields, name="l")], TensorType(x.shape[1:]))
        given = {name: np.zeros(w.shape) for name, w in graph.weights()}
        for name, value in dict(weights).items():
            given[f"l.{name}"] = np.reshape(np.asarray(value, np.float64), given[f"l.{name}"].shape)
        ones = np.ones((len(x), *graph.output.shape))
        return {name: native.run(graph, given, x, ones, training) for name, native in natives.items()}

    return run
