"""Convolution and pooling against loops in numpy that know nothing of either framework."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from dlrun.graph import Example, TensorType, build_graph, layers
from dlrun.randomness import stream

Weights = dict[str, np.ndarray]


def axes_of(value: Any, rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)


def around(layer: Any, n: int, axis: int, k: int, s: int, d: int) -> tuple[int, int]:
    """Cells of padding before and after one axis."""
    span = (k - 1) * d + 1
    if layer.padding == "valid":
        return 0, 0
    if layer.padding == "causal":
        return span - 1, 0
    if layer.padding == "same":
        total = max((math.ceil(n / s) - 1) * s + span - n, 0)
        return total // 2, total - total // 2
    one = layer.padding if isinstance(layer.padding, int) else layer.padding[axis]
    return (one, one) if isinstance(one, int) else tuple(one)


def windows(layer: Any, x: np.ndarray, size: Any) -> Iterator[tuple[tuple[int, ...], list[Any]]]:
    """Each output position with its taps: (tap, cell or None where there is none, whether it is padding)."""
    spatial = x.shape[1:-1]
    rank = len(spatial)
    size = axes_of(size, rank)
    stride = size if layer.stride is None else axes_of(layer.stride, rank)
    dilation = axes_of(getattr(layer, "dilation", 1), rank)
    per_axis = []
    for axis, (n, k, s, d) in enumerate(zip(spatial, size, stride, dilation, strict=True)):
        before, after = around(layer, n, axis, k, s, d)
        starts, start = [], -before
        while start + (k - 1) * d < n + after:
            starts.append(start)
            start += s
        # `ceil`: one more window, if it starts on the input or the padding before it
        if getattr(layer, "ceil", False) and starts[-1] + (k - 1) * d < n + after - 1 and start < n:
            starts.append(start)
        cells = [[(u, a + u * d, -before <= a + u * d < n + after) for u in range(k)] for a in starts]
        per_axis.append([[(u, i if 0 <= i < n else None, counted) for u, i, counted in taps] for taps in cells])
    for position in itertools.product(*(range(len(p)) for p in per_axis)):
        yield (
            position,
            list(itertools.product(*(per_axis[axis][i] for axis, i in enumerate(position)))),
        )


def slide(layer: Any, x: np.ndarray, shape: tuple[int, ...], size: Any, value: Callable[[list[Any]], Any]) -> Any:
    out = np.full((len(x), *shape), np.nan)
    for position, taps in windows(layer, x, size):
        found = []
        for tap in taps:
            tapped, cell = tuple(t[0] for t in tap), tuple(t[1] for t in tap)
            inside = None if None in cell else x[(slice(None), *cell)]
            found.append((tapped, inside, all(t[2] for t in tap)))
        out[(slice(None), *position)] = value(found)
    return out


def conv(layer: Any, x: np.ndarray, w: Weights, shape: tuple[int, ...]) -> np.ndarray:
    per_filter, per_channel = layer.filters // layer.groups, x.shape[-1] // layer.groups

    def value(taps: list[Any]) -> np.ndarray:
        y = np.zeros((len(x), layer.filters)) + w.get("bias", 0)
        for tap, cell, _ in taps:
            for o in range(layer.filters if cell is not None else 0):
                group = o // per_filter
                y[:, o] += cell[:, group * per_channel : (group + 1) * per_channel] @ w["kernel"][tap][:, o]
        return y

    return slide(layer, x, shape, layer.kernel, value)


def depthwise(layer: Any, x: np.ndarray, w: Weights, shape: tuple[int, ...]) -> np.ndarray:
    def value(taps: list[Any]) -> np.ndarray:
        y = np.zeros((len(x), shape[-1])) + w.get("bias", 0)
        for tap, cell, _ in taps:
            for c, j in itertools.product(range(x.shape[-1] if cell is not None else 0), range(layer.multiplier)):
                y[:, c * layer.multiplier + j] += cell[:, c] * w["kernel"][tap][c, j]
        return y

    return slide(layer, x, shape, layer.kernel, value)


def transposed(layer: Any, x: np.ndarray, w: Weights, shape: tuple[int, ...]) -> np.ndarray:
    spatial, rank = x.shape[1:-1], x.ndim - 2
    size, stride = axes_of(layer.kernel, rank), axes_of(layer.stride, rank)
    y = np.zeros((len(x), *shape)) + w.get("bias", 0)
    for at in itertools.product(*map(range, spatial)):
        for tap in itertools.product(*map(range, size)):
            to = []
            for axis, (i, u, k, s) in enumerate(zip(at, tap, size, stride, strict=True)):
                cut = (
                    {"valid": 0, "same": max(k - s, 0) // 2}.get(layer.padding)
                    if isinstance(layer.padding, str)
                    else (axes_of(layer.padding, rank)[axis])
                )
                to.append(i * s + u - cut)
            if all(0 <= t < n for t, n in zip(to, shape, strict=False)):
                y[(slice(None), *to)] += x[(slice(None), *at)] @ w["kernel"][tap].T
    return y


def max_pool(layer: Any, x: np.ndarray, w: Weights, shape: tuple[int, ...]) -> np.ndarray:
    return slide(layer, x, shape, layer.size, lambda taps: np.max([c for _, c, _ in taps if c is not None], axis=0))


def avg_pool(layer: Any, x: np.ndarray, w: Weights, shape: tuple[int, ...]) -> np.ndarray:
    def value(taps: list[Any]) -> np.ndarray:
        cells = [c for _, c, _ in taps if c is not None]
        counted = sum(inside for _, _, inside in taps) if layer.count_padding else len(cells)
        return np.sum(cells, axis=0) / counted

    return slide(layer, x, shape, layer.size, value)


def adaptive(reduce: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    def reference(layer: Any, x: np.ndarray, w: Weights, shape: tuple[int, ...]) -> np.ndarray:
        out = np.empty((len(x), *shape))
        for position in itertools.product(*map(range, shape[:-1])):
            box = [
                slice(math.floor(i * n / k), math.ceil((i + 1) * n / k))
                for i, n, k in zip(position, x.shape[1:-1], shape[:-1], strict=True)
            ]
            out[(slice(None), *position)] = reduce(x[(slice(None), *box)], axis=tuple(range(1, x.ndim - 1)))
        return out

    return reference


def whole(reduce: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    return lambda layer, x, w, shape: reduce(x, axis=tuple(range(1, x.ndim - 1)))


REFERENCES: dict[str, Callable[[Any, np.ndarray, Weights, tuple[int, ...]], np.ndarray]] = {
    "conv1d": conv,
    "conv2d": conv,
    "conv3d": conv,
    "depthwise_conv1d": depthwise,
    "depthwise_conv2d": depthwise,
    "conv1d_transpose": transposed,
    "conv2d_transpose": transposed,
    "conv3d_transpose": transposed,
    "max_pool1d": max_pool,
    "max_pool2d": max_pool,
    "max_pool3d": max_pool,
    "avg_pool1d": avg_pool,
    "avg_pool2d": avg_pool,
    "avg_pool3d": avg_pool,
    "adaptive_avg_pool1d": adaptive(np.mean),
    "adaptive_avg_pool2d": adaptive(np.mean),
    "adaptive_avg_pool3d": adaptive(np.mean),
    "adaptive_max_pool1d": adaptive(np.max),
    "adaptive_max_pool2d": adaptive(np.max),
    "adaptive_max_pool3d": adaptive(np.max),
    "global_avg_pool1d": whole(np.mean),
    "global_avg_pool2d": whole(np.mean),
    "global_avg_pool3d": whole(np.mean),
    "global_max_pool1d": whole(np.max),
    "global_max_pool2d": whole(np.max),
    "global_max_pool3d": whole(np.max),
}
CASES = [
    pytest.param(kind, example, id=f"{kind}-{i}")
    for kind in REFERENCES
    for i, example in enumerate(layers.get(kind).examples)
    if example.raises is None and len(example.inputs) == 1
]


def run(natives: dict[str, Any], kind: str, fields: dict[str, Any], x: np.ndarray, given: Weights | None = None) -> Any:
    """The layer's graph, its weights, and what each backend makes of it in float64."""
    graph = build_graph([layers.get(kind)(**fields, name="l")], TensorType(x.shape[1:]))
    weights = given or {n: stream(5, n).standard_normal(w.shape) for n, w in graph.weights()}
    ones = np.ones((len(x), *graph.output.shape))
    return graph, weights, {name: native.run(graph, weights, x, ones, False) for name, native in natives.items()}


@pytest.mark.parametrize(("kind", "example"), CASES)
def test_values_are_those_of_a_loop(kind: str, example: Example, natives: dict[str, Any]) -> None:
    fields = {k: v for k, v in example.fields.items() if k != "activation"}
    x = stream(4, kind).standard_normal((2, *example.inputs[0].shape))
    graph, weights, ran = run(natives, kind, fields, x)
    own = {name.removeprefix("l."): w for name, w in weights.items()}
    expected = REFERENCES[kind](layers.get(kind)(**fields), x, own, graph.output.shape)
    assert np.isfinite(expected).all()
    for name, found in ran.items():
        np.testing.assert_allclose(found.output, expected, rtol=0, atol=1e-13 * abs(expected).max(), err_msg=name)


@pytest.mark.parametrize("kind", ["max_pool1d", "max_pool2d", "max_pool3d"])
def test_of_equal_values_the_first_has_the_gradient(kind: str, natives: dict[str, Any]) -> None:
    rank = int(kind[-2])
    x = np.ones((1, *(4,) * rank, 1))
    first = np.zeros_like(x)
    first[(slice(None), *(slice(None, None, 2),) * rank)] = 1
    for fields in ({"size": 2}, {"size": 2, "padding": ((0, 1),) * rank}):
        _, _, ran = run(natives, kind, fields, x)
        for name, found in ran.items():
            np.testing.assert_array_equal(found.gradients["input"], first, err_msg=f"{name} {fields}")


@pytest.mark.parametrize("size", [2, 3], ids=["even", "uneven"])
def test_of_equal_values_in_a_bin_the_first_has_the_gradient(size: int, natives: dict[str, Any]) -> None:
    _, _, ran = run(natives, "adaptive_max_pool1d", {"size": size}, np.ones((1, 4, 1)))
    for name, found in ran.items():
        expected = [1, 0, 1, 0] if size == 2 else [1, 1, 1, 0]
        np.testing.assert_array_equal(found.gradients["input"].ravel(), expected, err_msg=name)


def test_a_separable_convolution_is_its_two_parts(natives: dict[str, Any]) -> None:
    x = stream(6, "x").standard_normal((2, 5, 6, 3))
    fields = {"filters": 4, "kernel": 3, "multiplier": 2, "stride": 2, "padding": "same"}
    graph, weights, ran = run(natives, "separable_conv2d", fields, x)
    assert {name: w.shape for name, w in weights.items()} == {
        "l.depthwise.kernel": (3, 3, 3, 2),
        "l.pointwise.kernel": (1, 1, 6, 4),
        "l.pointwise.bias": (4,),
    }
    first = layers.get("depthwise_conv2d")(kernel=3, multiplier=2, stride=2, padding="same", bias=False)
    between = depthwise(first, x, {"kernel": weights["l.depthwise.kernel"]}, (3, 3, 6))
    expected = between @ weights["l.pointwise.kernel"][0, 0] + weights["l.pointwise.bias"]
    for found in ran.values():
        np.testing.assert_allclose(found.output, expected, rtol=1e-12, atol=1e-13)


def test_a_causal_convolution_never_looks_ahead(natives: dict[str, Any]) -> None:
    x = stream(7, "x").standard_normal((1, 8, 1))
    later = x.copy()
    later[:, 5:] += 1
    fields = {"filters": 1, "kernel": 3, "dilation": 2, "padding": "causal"}
    _, weights, before = run(natives, "conv1d", fields, x)
    _, _, after = run(natives, "conv1d", fields, later, weights)
    for name in natives:
        np.testing.assert_array_equal(before[name].output[:, :5], after[name].output[:, :5])
        assert (before[name].output[:, 5:] != after[name].output[:, 5:]).all()


def test_depthwise_kernels_start_by_their_own_fans() -> None:
    """An output reads one channel: nine taps, however many channels there are."""
    (kernel, _) = layers.get("depthwise_conv2d")(kernel=3, multiplier=2).weights(TensorType((8, 8, 64)))
    assert kernel.fans == (9, 18)
