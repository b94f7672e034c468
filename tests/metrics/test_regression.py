"""Metrics of numbers against scikit-learn, and where float32 or naive sums would fail."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from dlrun.errors import DlrunError
from dlrun.metrics.metric import metrics

RNG = np.random.default_rng(0)
NAMES = {"mae": "lower", "rmse": "lower", "r2": "higher"}


def value(name: str, output: np.ndarray, target: np.ndarray, parts: int = 1) -> float:
    accumulator = metrics.get(name)().start(None)
    for x, y in zip(np.array_split(output, parts), np.array_split(target, parts), strict=True):
        accumulator.add(x, y)
    result: dict[str, Any] = accumulator.result()
    json.dumps(result)
    assert list(result) == [name]
    return float(result[name])


@pytest.mark.parametrize("parts", [1, 7, 200])
@pytest.mark.parametrize("shape", [(200,), (200, 1), (200, 3)])
def test_scikit_learn_agrees(shape: tuple[int, ...], parts: int) -> None:
    from sklearn import metrics as reference

    target = RNG.normal(size=shape) * 3 + 1
    output = target.reshape(len(target), -1) + RNG.normal(size=(200, int(np.prod(shape[1:]))))
    flat = output.reshape(shape)
    assert value("mae", output, target, parts) == pytest.approx(reference.mean_absolute_error(target, flat), rel=1e-13)
    expected = reference.mean_squared_error(target, flat) ** 0.5
    assert value("rmse", output, target, parts) == pytest.approx(expected, rel=1e-13)
    assert value("r2", output, target, parts) == pytest.approx(reference.r2_score(target, flat), rel=1e-12)


def test_r2_of_targets_far_from_zero() -> None:
    """Sums of squares would lose every digit here."""
    target = RNG.normal(size=5000) + 1e9
    output = (target + RNG.normal(size=5000) * 0.5)[:, None]
    whole = value("r2", output, target)
    assert 0.7 < whole < 0.8
    assert value("r2", output, target, 50) == pytest.approx(whole, rel=1e-6)


def test_targets_that_do_not_vary() -> None:
    same = np.ones(5)
    assert value("r2", same[:, None], same) == 1.0
    assert value("r2", same[:, None] + 1, same) == 0.0
    tenths = np.full(70, 0.1)  # their mean is not 0.1 to the last digit
    for parts in (1, 7, 70):
        assert value("r2", tenths[:, None] + 0.1, tenths, parts) == 0.0
        assert value("r2", tenths[:, None], tenths, parts) == 1.0


@pytest.mark.parametrize("name", NAMES)
def test_directions_and_needs(name: str) -> None:
    metric = metrics.get(name)()
    assert metric.better == NAMES[name]
    assert metric.names() == (name,)
    metric.check(None)
    with pytest.raises(DlrunError, match=f"metric-needs-numbers.*`{name}`.*10 classes"):
        metric.check(10)
    assert np.isfinite(value(name, np.zeros((0, 1)), np.zeros(0)))
