"""What layers that draw do: the portable draws of `randomness`, how often, and nothing in evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlrun.randomness import derive, keep_mask, normal_noise, step_key

KEY = step_key(derive(0, "dropout", "l"), 3)
SHAPES = [(5, 4, 3), (40, 3), (2, 3, 2, 4)]


@pytest.mark.parametrize("shape", SHAPES)
def test_spatial_dropout_keeps_or_drops_whole_channels(shape: tuple[int, ...], run_layer: Any) -> None:
    x = np.random.default_rng(0).normal(size=(8, *shape))
    drawn = (8, *(1 for _ in shape[:-1]), shape[-1])
    keep = np.broadcast_to(keep_mask(KEY, drawn, 0.25), x.shape)
    for ran in run_layer("spatial_dropout", {"rate": 0.25}, x, training=True).values():
        np.testing.assert_allclose(ran.output, x * keep / 0.75, rtol=1e-13)
        np.testing.assert_allclose(ran.gradients["input"], keep / 0.75, rtol=1e-13)


@pytest.mark.parametrize("shape", [(6,), *SHAPES])
def test_stochastic_depth_keeps_or_drops_whole_samples(shape: tuple[int, ...], run_layer: Any) -> None:
    x = np.random.default_rng(0).normal(size=(8, *shape))
    keep = keep_mask(KEY, (8, *(1 for _ in shape)), 0.5)
    assert 0 < keep.sum() < 8
    for ran in run_layer("stochastic_depth", {"rate": 0.5}, x, training=True).values():
        np.testing.assert_allclose(ran.output, x * keep * 2, rtol=1e-13)


@pytest.mark.parametrize("shape", [(6,), *SHAPES])
def test_gaussian_noise_is_the_portable_one(shape: tuple[int, ...], run_layer: Any) -> None:
    x = np.random.default_rng(0).normal(size=(8, *shape))
    for ran in run_layer("gaussian_noise", {"deviation": 0.3}, x, training=True).values():
        np.testing.assert_allclose(ran.output, x + 0.3 * normal_noise(KEY, x.shape), rtol=0, atol=1e-13)
        np.testing.assert_array_equal(ran.gradients["input"], np.ones_like(x))


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("spatial_dropout", {"rate": 0.5}),
        ("stochastic_depth", {"rate": 0.5}),
        ("gaussian_noise", {"deviation": 1.0}),
        ("gradient_reversal", {"factor": 0.3}),
    ],
)
def test_nothing_changes_in_evaluation(kind: str, fields: dict[str, Any], run_layer: Any) -> None:
    x = np.random.default_rng(0).normal(size=(3, 4, 2))
    for ran in run_layer(kind, fields, x).values():
        np.testing.assert_array_equal(ran.output, x)


@pytest.mark.parametrize("training", [True, False])
def test_the_gradient_is_reversed(training: bool, run_layer: Any) -> None:
    x = np.random.default_rng(0).normal(size=(3, 4, 2))
    for ran in run_layer("gradient_reversal", {"factor": 0.3}, x, training=training).values():
        np.testing.assert_allclose(ran.gradients["input"], np.full_like(x, -0.3), rtol=1e-13)


def test_noise_is_normal_and_its_own_for_each_key_and_part() -> None:
    z = normal_noise(KEY, (200_000,))
    assert (
        abs(z.mean()) < 0.01 and abs(z.std() - 1) < 0.01 and abs((z**3).mean()) < 0.03 and abs((z**4).mean() - 3) < 0.1
    )
    assert abs(np.corrcoef(z[:-1], z[1:])[0, 1]) < 0.01
    assert abs(np.corrcoef(z, normal_noise(KEY ^ (1 << 40), z.shape))[0, 1]) < 0.01  # the high bits count too
    assert abs(np.corrcoef(z, normal_noise(step_key(KEY, 4), z.shape))[0, 1]) < 0.01
    np.testing.assert_array_equal(normal_noise(KEY, (5,), offset=7), z[7:12])


def test_drawn_numbers_are_the_portable_ones_and_in_evaluation_always_the_same(run_layer: Any) -> None:
    x = np.random.default_rng(0).normal(size=(300, 3, 2))
    x[1] = np.nan  # the input tells how many samples there are, nothing else
    for ran in run_layer("normal_noise", {"units": 5}, x, training=True).values():
        np.testing.assert_allclose(ran.output, normal_noise(KEY, (300, 5)), rtol=0, atol=1e-13)
        np.testing.assert_array_equal(ran.gradients["input"], np.zeros_like(x))
    rows = normal_noise(step_key(derive(0, "evaluation", "l"), 0), (256, 5))
    for ran in run_layer("normal_noise", {"units": 5}, x).values():
        np.testing.assert_array_equal(ran.output, np.concatenate([rows, rows[:44]]))
