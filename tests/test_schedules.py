"""Schedules against their closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dlrun.schedules import schedules

TOTAL, EPOCH = 100, 10


def factors(kind: str, **fields: object) -> np.ndarray:
    return schedules.get(kind)(**fields).rates(1.0, 0, TOTAL, TOTAL, EPOCH)


def test_constant() -> None:
    assert set(factors("constant")) == {1.0}


def test_step_falls_with_the_first_update_of_an_epoch() -> None:
    f = factors("step", every_epochs=3, gamma=0.5)
    assert (f[29], f[30], f[59], f[60]) == (1.0, 0.5, 0.5, 0.25)


def test_cosine_passes_its_known_points() -> None:
    f = schedules.get("cosine")(final=0.2)
    at = [f.factor(t, TOTAL, EPOCH) for t in (0, 50, 100, 170)]
    np.testing.assert_allclose(at, [1.0, 0.6, 0.2, 0.2], rtol=1e-15)


def test_cosine_by_the_formula() -> None:
    expected = [(1 + math.cos(math.pi * t / TOTAL)) / 2 for t in range(TOTAL)]
    np.testing.assert_allclose(factors("cosine"), expected, atol=1e-15)


def test_polynomial_of_power_one_is_a_line() -> None:
    np.testing.assert_allclose(factors("polynomial"), 1 - np.arange(TOTAL) / TOTAL, rtol=1e-15)


def test_polynomial_of_power_two() -> None:
    f = schedules.get("polynomial")(power=2.0, final=0.1)
    assert f.factor(50, TOTAL, EPOCH) == pytest.approx(0.1 + 0.9 * 0.25)


@pytest.mark.parametrize("kind", schedules.names())
def test_warm_up_starts_above_zero_and_ends_at_the_full_rate(kind: str) -> None:
    fields = {"every_epochs": 5} if kind == "step" else {}
    f = factors(kind, warmup_steps=4, **fields)
    np.testing.assert_allclose(f[:4], [0.25, 0.5, 0.75, 1.0], rtol=1e-15)
    assert f[4] == pytest.approx(1.0, abs=1e-3)
    assert np.all(np.diff(f[4:]) <= 0)


@pytest.mark.parametrize("kind", schedules.names())
def test_rates_do_not_depend_on_how_they_are_asked_for(kind: str) -> None:
    schedule = schedules.get(kind)(warmup_steps=7, **({"every_epochs": 2} if kind == "step" else {}))
    whole = schedule.rates(3e-4, 0, TOTAL, TOTAL, EPOCH)
    parts = np.concatenate([schedule.rates(3e-4, a, b - a, TOTAL, EPOCH) for a, b in ((0, 1), (1, 33), (33, TOTAL))])
    np.testing.assert_array_equal(whole, parts)
    assert whole.dtype == np.float64


def test_the_last_update_of_a_run_no_longer_than_its_warm_up() -> None:
    f = schedules.get("cosine")(warmup_steps=10).rates(1.0, 0, 10, 10, EPOCH)
    np.testing.assert_allclose(f, np.arange(1, 11) / 10)
