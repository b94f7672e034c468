"""What layers said with others compute, and what their parts are called."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlrun.errors import DlrunErrors
from dlrun.graph import Graph, Layer, TensorType, build_graph, layers
from dlrun.layers.gate import rounded_channels


def make(kind: str, **fields: Any) -> Layer:
    return layers.get(kind)(**fields)


def names(graph: Graph) -> list[str]:
    return [name for name, _ in graph.weights()]


@pytest.mark.parametrize("shape", [(3, 2, 4), (5, 4), (2, 2, 3, 4)])
def test_squeeze_excite(shape: tuple[int, ...], run_layer: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *shape))
    w = {"reduce.kernel": (4, 2), "reduce.bias": (2,), "expand.kernel": (2, 4), "expand.bias": (4,)}
    weights = {name: rng.normal(size=s) for name, s in w.items()}
    mean = x.mean(tuple(range(1, x.ndim - 1)))
    squeezed = np.maximum(mean @ weights["reduce.kernel"] + weights["reduce.bias"], 0)
    gate = 1 / (1 + np.exp(-(squeezed @ weights["expand.kernel"] + weights["expand.bias"])))
    expected = x * gate.reshape(2, *(1,) * (x.ndim - 2), 4)
    for ran in run_layer("squeeze_excite", {"units": 2}, x, weights).values():
        assert set(ran.weights) == {f"l.{name}" for name in w}
        np.testing.assert_allclose(ran.output, expected, rtol=1e-13)


@pytest.mark.parametrize(
    ("channels", "fields", "units"),
    [
        (96, {"units": 4}, 4),  # EfficientNet-B0's second block: a quarter of the 16 channels it read
        (64, {"reduction": 16}, 4),
        (10, {"reduction": 16}, 1),
        (72, {"reduction": 4, "multiple": 8}, 24),  # MobileNetV3: 72 / 4 = 18, of which 16 is less than 0.9
        (120, {"reduction": 4, "multiple": 8}, 32),
        (16, {"reduction": 4, "multiple": 8}, 8),
    ],
)
def test_squeezed_width(channels: int, fields: dict[str, Any], units: int) -> None:
    graph = build_graph([make("squeeze_excite", **fields, bias=False)], TensorType((2, 2, channels)))
    assert [w.shape for _, w in graph.weights()] == [(channels, units), (units, channels)]


def test_rounding_to_a_multiple() -> None:
    assert [rounded_channels(w, 8) for w in (1, 11, 12, 18, 20, 30, 33)] == [8, 16, 16, 24, 24, 32, 32]


def test_parallel_branches(natives: dict[str, Any]) -> None:
    """x, and a branch of two layers, side by side and one on the other."""
    for merge, expected in (("concat", [[1, 2, 6, 3, 5, 13]]), ("add", [[4, 7, 19]]), ("maximum", [[3, 5, 13]])):
        branch = make("sequence", layers=(make("scale_by", factor=2.0), make("scale_by", factor=1.0, offset=1.0)))
        spec = make("parallel", branches=(make("identity"), branch), merge=merge)
        graph = build_graph([spec], TensorType((3,)))
        for native in natives.values():
            ran = native.run(graph, {}, np.array([[1.0, 2, 6]]), np.ones((1, *graph.output.shape)), False)
            np.testing.assert_array_equal(ran.output, expected)


def test_names_of_parts() -> None:
    dense = make("dense", units=3)
    graph = build_graph(
        [
            make("parallel", name="split", branches=(dense, make("sequence", layers=(dense, dense), name="deep"))),
            make("repeat", name="stack", times=2, layers=(dense,)),
            make("residual", name="skip", layers=(dense,), shortcut=(dense,)),
        ],
        TensorType((4,)),
    )
    owners = list(dict.fromkeys(n.rsplit(".", 1)[0] for n in names(graph)))
    assert owners == [
        "split.dense_1",
        "split.deep.dense_1",
        "split.deep.dense_2",
        "stack.1.dense_1",
        "stack.2.dense_1",
        "skip.dense_1",
        "skip.shortcut.dense_1",
    ]


def test_mistakes_in_branches_have_their_place() -> None:
    bad = make("sequence", layers=(make("identity"), make("reshape", shape=(7,))))
    with pytest.raises(DlrunErrors) as caught:
        build_graph([make("parallel", branches=(make("identity"), bad))], TensorType((3,)))
    (error,) = caught.value.errors
    assert error.path == (
        *("model", "layers", 0, "parallel"),
        *("branches", 1, "sequence", "layers", 1, "reshape", "shape"),
    )
