"""Schedules against their closed forms."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from dlrun.errors import DlrunError
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


NEEDED = {"step": {"every_epochs": 5}, "multi_step": {"milestones": (3, 6)}, "cosine_restarts": {"period_epochs": 10}}


@pytest.mark.parametrize("kind", schedules.names())
def test_warm_up_starts_above_zero_and_ends_at_the_full_rate(kind: str) -> None:
    f = factors(kind, warmup_steps=4, **NEEDED.get(kind, {}))
    full = 0.04 if kind == "one_cycle" else 1.0
    np.testing.assert_allclose(f[:4], full * np.array([0.25, 0.5, 0.75, 1.0]), rtol=1e-15)
    assert f[4] == pytest.approx(math.sqrt(4 / 5) if kind == "inverse_sqrt" else full, abs=1e-2)
    if kind != "one_cycle":
        assert np.all(np.diff(f[4:]) <= 0)


@pytest.mark.parametrize("kind", schedules.names())
def test_rates_do_not_depend_on_how_they_are_asked_for(kind: str) -> None:
    schedule = schedules.get(kind)(warmup_steps=7, **NEEDED.get(kind, {}))
    whole = schedule.rates(3e-4, 0, TOTAL, TOTAL, EPOCH)
    parts = np.concatenate([schedule.rates(3e-4, a, b - a, TOTAL, EPOCH) for a, b in ((0, 1), (1, 33), (33, TOTAL))])
    np.testing.assert_array_equal(whole, parts)
    assert whole.dtype == np.float64


def test_the_last_update_of_a_run_no_longer_than_its_warm_up() -> None:
    f = schedules.get("cosine")(warmup_steps=10).rates(1.0, 0, 10, 10, EPOCH)
    np.testing.assert_allclose(f, np.arange(1, 11) / 10)


def test_multi_step_falls_at_its_milestones() -> None:
    f = factors("multi_step", milestones=(2, 5), gamma=0.5)
    assert (f[19], f[20], f[49], f[50], f[99]) == (1.0, 0.5, 0.5, 0.25, 0.25)


@pytest.mark.parametrize("milestones", [(), (3, 3), (5, 2)])
def test_milestones_rise(milestones: tuple[int, ...]) -> None:
    with pytest.raises(DlrunError) as caught:
        schedules.get("multi_step")(milestones=milestones)
    assert caught.value.code == "milestones-order"


def test_exponential_falls_by_its_share_in_an_epoch() -> None:
    f = factors("exponential", gamma=0.5, every_epochs=2.0)
    np.testing.assert_allclose(f[[0, 20, 40]], [1.0, 0.5, 0.25], rtol=1e-15)
    np.testing.assert_allclose(f[1:] / f[:-1], 0.5 ** (1 / 20), rtol=1e-14)
    assert factors("exponential", gamma=0.5, warmup_steps=10)[10] == 1.0


def test_linear_between_its_ends() -> None:
    f = schedules.get("linear")(start=0.5, final=0.1)
    np.testing.assert_allclose([f.factor(t, TOTAL, EPOCH) for t in (0, 50, 100, 200)], [0.5, 0.3, 0.1, 0.1], rtol=1e-15)


def test_inverse_sqrt_is_the_transformer_s() -> None:
    warmup = 7
    t = np.arange(1, TOTAL + 1)
    paper = np.minimum(t**-0.5, t * warmup**-1.5)
    np.testing.assert_allclose(factors("inverse_sqrt", warmup_steps=warmup), paper / paper.max(), rtol=1e-14)
    np.testing.assert_allclose(factors("inverse_sqrt"), t**-0.5, rtol=1e-14)


def test_cosine_restarts_at_the_full_rate() -> None:
    f = factors("cosine_restarts", period_epochs=2, multiplier=2)  # periods of 20, 40 and 80 updates
    assert (f[0], f[20], f[60]) == (1.0, 1.0, 1.0)
    np.testing.assert_allclose((f[10], f[40], f[99]), (0.5, 0.5, (1 + math.cos(math.pi * 39 / 80)) / 2), rtol=1e-14)
    f = factors("cosine_restarts", period_epochs=2, final=0.2)
    np.testing.assert_array_equal(f[:20], f[80:])
    assert f[10] == pytest.approx(0.6)


@pytest.mark.parametrize(("curve", "half"), [("cosine", 0.5), ("linear", 0.5)])
def test_one_cycle_by_its_points(curve: str, half: float) -> None:
    f = factors("one_cycle", peak=0.21, start=0.1, final=0.01, curve=curve)
    assert f.argmax() == 20
    np.testing.assert_allclose((f[0], f[10], f[20], f[99]), (0.1, 0.1 + 0.9 * half, 1.0, 0.01), rtol=1e-12)
    assert np.all(np.diff(f[:21]) > 0) and np.all(np.diff(f[20:]) < 0)


def test_plateau_falls_after_its_patience_and_cools_down() -> None:
    schedule = schedules.get("reduce_on_plateau")(gamma=0.5, patience=1, cooldown=1, min_delta=0.1, final=0.2)
    seen, found = None, []
    # better, not by enough, worse: falls; cooling; worse, worse: falls; cooling; NaN, worse: at the floor
    for value in (1.0, 1.05, 0.9, 0.8, 0.8, 0.8, 0.8, math.nan, 0.7):
        seen = schedule.observe(json.loads(json.dumps(seen)), value, higher_is_better=True)
        found.append(float(schedule.rates(1.0, 3, 1, TOTAL, EPOCH, seen)[0]))
    assert found == [1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2]
    lower = schedule.observe(schedule.observe(None, 1.0, False), 0.5, False)
    assert lower is not None and lower["best"] == 0.5


def test_a_schedule_that_does_not_watch_remembers_nothing() -> None:
    assert schedules.get("cosine")().observe(None, 0.3, True) is None
