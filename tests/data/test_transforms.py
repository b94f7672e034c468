"""Preprocessing: one rounding, whichever way it is computed."""

from __future__ import annotations

import numpy as np
import pytest

from dlrun.data.preprocessing import Preprocessing, apply
from dlrun.data.transforms import combined, transforms

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(70_000, 3), (5000, 6, 5, 1), (700, 9, 8, 3), (0, 4, 4, 1)])
@pytest.mark.parametrize("equal_channels", [True, False])
def test_bytes_and_numbers_agree(shape: tuple[int, ...], dtype: str, equal_channels: bool) -> None:
    x = RNG.integers(0, 256, shape, dtype=np.uint8)
    channels = shape[-1]
    steps = np.zeros(channels) if equal_channels else np.arange(channels)
    affine = (0.3 / 255 + steps, -0.1 - steps)
    expected = (x.astype(np.float64) * affine[0] + affine[1]).astype(dtype)
    how = Preprocessing(*np.broadcast_arrays(*affine))
    for stored in (x, x.astype(np.float32)):
        result = apply(stored, how, dtype)
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, expected)
    out = np.full(shape, 9, dtype)
    assert apply(x, how, dtype, out) is out
    np.testing.assert_array_equal(out, expected)


def test_views_with_gaps() -> None:
    x = RNG.integers(0, 256, (6, 5, 4), dtype=np.uint8)[:, ::2]
    how = Preprocessing(np.full(4, 2.0), np.full(4, 1.0))
    np.testing.assert_array_equal(apply(x, how, "float32"), x * np.float32(2) + 1)


def test_transforms_follow_one_another() -> None:
    chain = (
        transforms.get("normalize")(mean=(0.5, 0.25), std=0.5),
        transforms.get("rescale")(multiplier=10.0, offset=1.0),
    )
    x = np.array([[0, 255], [51, 102]], np.uint8)
    expected = ((x / 255 - [0.5, 0.25]) / 0.5) * 10 + 1
    how = combined(chain, 1 / 255, np.array([True, True]))
    np.testing.assert_allclose(apply(x, how, "float64"), expected, rtol=1e-14)
