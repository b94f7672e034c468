"""What rearranging, cutting, padding and resizing layers compute, by numpy's own functions."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from dlrun.layers.resize import nearest_cells

GRID = np.arange(48.0).reshape(2, 4, 3, 2)
ROW = np.array([[[1.0], [3.0], [8.0]]])
BLOCKS = np.arange(16.0).reshape(1, 2, 2, 4)


def padded(x: np.ndarray, *pairs: tuple[int, int], mode: Any, **more: Any) -> np.ndarray:
    """numpy's padding of the first axes of a sample."""
    return np.pad(x, ((0, 0), *pairs, *((0, 0),) * (x.ndim - 1 - len(pairs))), mode, **more)


CASES: list[tuple[str, dict[str, Any], np.ndarray, Any]] = [
    ("permute", {"axes": (2, 0, 1)}, GRID, np.transpose(GRID, (0, 3, 1, 2))),
    ("permute", {"axes": (1, 0)}, GRID[..., 0], np.transpose(GRID[..., 0], (0, 2, 1))),
    ("slice", {"axis": 0, "start": 1, "stop": -1}, GRID, GRID[:, 1:-1]),
    ("slice", {"axis": 1, "step": 2}, GRID, GRID[:, :, ::2]),
    ("slice", {"start": -1}, GRID, GRID[..., -1:]),
    ("pad", {"amount": ((1, 2), (0, 1)), "value": 7.0}, GRID,
     padded(GRID, (1, 2), (0, 1), mode="constant", constant_values=7)),
    ("pad", {"amount": 2, "mode": "reflect"}, GRID, padded(GRID, (2, 2), (2, 2), mode="reflect")),
    ("pad", {"amount": ((0, 5), (2, 0), (1, 1)), "mode": "edge"}, GRID,
     padded(GRID, (0, 5), (2, 0), (1, 1), mode="edge")),
    ("pad", {"amount": ((1, 2),), "mode": "reflect"}, ROW, padded(ROW, (1, 2), mode="reflect")),
    ("crop", {"amount": ((1, 1), (2, 0))}, GRID, GRID[:, 1:-1, 2:]),
    ("crop", {"size": (1, 2)}, GRID, GRID[:, 1:2, :2]),
    # pixel (0, 0) of the output comes from the first channel, (0, 1) from the second, (1, 0) from the third
    ("depth_to_space", {"block": 2}, BLOCKS, [[[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]]),
    ("channel_shuffle", {"groups": 2}, [[0, 1, 2, 3, 4, 5]], [[0, 3, 1, 4, 2, 5]]),
    # centres of six cells over three: before the first centre and behind the last nothing changes
    ("resize", {"size": 6}, ROW, [[1, 1.5, 2.5, 4.25, 6.75, 8]]),
    ("resize", {"size": 5, "align_corners": True}, ROW, [[1, 2, 3, 5.5, 8]]),
    ("resize", {"size": 2}, ROW, [[1.5, 6.75]]),
    ("resize", {"size": 6, "method": "nearest"}, ROW, [[1, 1, 3, 3, 8, 8]]),
    ("resize", {"size": 2, "method": "nearest"}, ROW, [[1, 8]]),
    ("resize", {"size": 1, "method": "nearest"}, ROW, [[3]]),
    ("resize", {"scale": (0.5, 1.0), "method": "nearest"}, GRID, GRID[:, 1::2]),
    ("upsample", {"factor": (2, 3)}, GRID, GRID.repeat(2, 1).repeat(3, 2)),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda c: c[0])
def test_values(case: tuple[str, dict[str, Any], Any, Any], run_layer: Any) -> None:
    kind, fields, x, expected = case
    for ran in run_layer(kind, fields, x).values():
        np.testing.assert_allclose(ran.output.reshape(np.shape(expected)), expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("order", ["blocks", "channels"])
def test_depth_to_space_undoes_space_to_depth(order: str, run_layer: Any) -> None:
    x = np.random.default_rng(0).normal(size=(2, 4, 6, 3))
    for name, ran in run_layer("space_to_depth", {"block": 2, "order": order}, x).items():
        back = run_layer("depth_to_space", {"block": 2, "order": order}, ran.output)[name]
        np.testing.assert_array_equal(back.output, x)


def test_both_orders_of_channels_are_known_ones(run_layer: Any) -> None:
    torch, tf = pytest.importorskip("torch"), pytest.importorskip("tensorflow")
    x = np.random.default_rng(0).normal(size=(1, 2, 3, 8))
    shuffled = torch.nn.functional.pixel_shuffle(torch.from_numpy(x).permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
    for order, expected in (("blocks", tf.nn.depth_to_space(x, 2)), ("channels", shuffled)):
        for ran in run_layer("depth_to_space", {"block": 2, "order": order}, x).values():
            np.testing.assert_array_equal(ran.output, expected)


def test_bilinear_is_linear_along_each_axis(run_layer: Any) -> None:
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 3))
    once = run_layer("resize", {"size": (7, 5)}, x)["torch"].output
    for ran in run_layer("resize", {"size": (7, 3)}, x).values():
        turned = run_layer("resize", {"size": (3, 7)}, np.swapaxes(once, 1, 2))["torch"].output
        np.testing.assert_allclose(ran.output, np.swapaxes(turned, 1, 2)[:, :7], rtol=0, atol=1e-12)


def test_the_nearest_cell_is_found_without_rounding() -> None:
    """Also where a centre falls on a border exactly, which n / m in binary would miss."""
    for n, m in ((n, m) for n in range(1, 40) for m in range(1, 40)):
        exact = [math.floor((Fraction(2 * i + 1, 2)) * Fraction(n, m)) for i in range(m)]
        assert nearest_cells(n, m).tolist() == exact
