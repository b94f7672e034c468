"""What layers of several inputs compute, and who of equal inputs has the gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlrun.errors import DlrunErrors
from dlrun.graph import TensorType, build_graph, layers

A = np.array([[1.0, 2.0, 6.0], [-1.0, 0.0, 3.0]])
B = np.array([[2.0, 2.0, -6.0], [-1.0, 5.0, 3.0]])
CUT = {"left.kernel": np.eye(6)[:, :3], "right.kernel": np.eye(6)[:, 3:]}


def two(natives: dict[str, Any], specs: list[Any], inputs: tuple[np.ndarray, np.ndarray] = (A, B)) -> dict[str, Any]:
    """Layers that read ``left`` and ``right``, (N, 3) each, on both backends."""
    dense = layers.get("dense")
    cut = [dense(units=3, bias=False, inputs=("input",), name=name) for name in ("left", "right")]
    graph = build_graph([*cut, *specs], TensorType((6,)))
    x = np.concatenate(inputs, axis=1)
    ones = np.ones((len(x), *graph.output.shape))
    return {name: native.run(graph, CUT, x, ones, False) for name, native in natives.items()}


MERGED = {
    "subtract": A - B,
    "multiply": A * B,
    "average": (A + B) / 2,
    "maximum": np.maximum(A, B),
    "minimum": np.minimum(A, B),
    "dot": (A * B).sum(1, keepdims=True),
}


@pytest.mark.parametrize("kind", MERGED)
def test_merges(kind: str, natives: dict[str, Any]) -> None:
    for ran in two(natives, [layers.get(kind)(inputs=("left", "right"))]).values():
        np.testing.assert_allclose(ran.output, MERGED[kind], rtol=1e-13)


@pytest.mark.parametrize("kind", ["maximum", "minimum"])
def test_the_first_of_equal_inputs_has_the_gradient(kind: str, natives: dict[str, Any]) -> None:
    for ran in two(natives, [layers.get(kind)(inputs=("left", "right"))], (A, A)).values():
        np.testing.assert_array_equal(ran.gradients["input"], [[1, 1, 1, 0, 0, 0]] * 2)


def test_cosine(natives: dict[str, Any]) -> None:
    zero = np.zeros_like(A)
    expected = (A * B).sum(1) / np.linalg.norm(A, axis=1) / np.linalg.norm(B, axis=1)
    for ran in two(natives, [layers.get("dot")(normalize=True, inputs=("left", "right"))]).values():
        np.testing.assert_allclose(ran.output[:, 0], expected, rtol=1e-13)
    for ran in two(natives, [layers.get("dot")(normalize=True, inputs=("left", "right"))], (A, zero)).values():
        assert not ran.output.any() and np.isfinite(ran.gradients["input"]).all()


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("second", [False, True])
def test_matmul(first: bool, second: bool, natives: dict[str, Any]) -> None:
    reshape, matmul = layers.get("reshape"), layers.get("matmul")
    column = matmul(
        transpose_first=first, transpose_second=second, inputs=("a", "b"), name="product"
    )  # (3, 1) or (1, 3), so that each of the four has its own shape
    specs = [
        reshape(shape=(1, 3) if first else (3, 1), inputs=("left",), name="a"),
        reshape(shape=(3, 1) if second else (1, 3), inputs=("right",), name="b"),
        column,
    ]
    for ran in two(natives, specs).values():
        np.testing.assert_allclose(ran.output, A[:, :, None] * B[:, None, :], rtol=1e-13)


def test_multiply_repeats_axes_of_length_one(natives: dict[str, Any]) -> None:
    graph = build_graph(
        [layers.get("slice")(axis=0, stop=1, name="row"), layers.get("multiply")(inputs=("input", "row"))],
        TensorType((2, 3)),
    )
    x = np.arange(1.0, 7.0).reshape(1, 2, 3)
    for native in natives.values():
        ran = native.run(graph, {}, x, np.ones((1, 2, 3)), False)
        np.testing.assert_array_equal(ran.output, x * x[:, :1])
        np.testing.assert_array_equal(ran.gradients["input"], [[2 * x[0, 0] + x[0, 1], x[0, 0]]])


def test_concat_along_any_axis(natives: dict[str, Any]) -> None:
    graph = build_graph(
        [layers.get("slice")(axis=0, stop=1, name="row"), layers.get("concat")(axis=0, inputs=("input", "row"))],
        TensorType((2, 3, 2)),
    )
    x = np.arange(12.0).reshape(1, 2, 3, 2)
    for native in natives.values():
        ran = native.run(graph, {}, x, np.ones((1, 3, 3, 2)), False)
        np.testing.assert_array_equal(ran.output, np.concatenate([x, x[:, :1]], 1))


@pytest.mark.parametrize(("kind", "count"), [("add", 1), ("subtract", 3), ("matmul", 1), ("concat", 1)])
def test_too_few_or_too_many_inputs(kind: str, count: int) -> None:
    with pytest.raises(DlrunErrors) as caught:
        build_graph([layers.get(kind)(inputs=("input",) * count)], TensorType((3, 3)))
    (error,) = caught.value.errors
    assert error.code == "wrong-input-count" and f"`{kind}`" in error.message
