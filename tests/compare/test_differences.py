"""Measuring how far two sides are apart, on sides worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from dlrun.compare.differences import apart, differences, relative
from dlrun.compare.steps import LARGEST, Recording, Step, sampled


class Listed:
    """A side that is a list."""

    def __init__(self, label, steps):
        self.label, self._steps = label, steps

    def steps(self):
        return iter(self._steps)


def side(label, losses, *, kernel=(0.0, 1.0), bias=0.0, gradient=2.0):
    """A layer `dense_1` whose weights move from 0 to ``kernel`` in the first update and stay there."""
    weights = {"dense_1.kernel": np.array(kernel), "dense_1.bias": np.array([bias])}
    start = {name: np.zeros_like(w) for name, w in weights.items()}
    gradients = {"dense_1.kernel": np.array([gradient, 4.0]), "dense_1.bias": np.array([0.0])}
    outputs = {"dense_1": np.array([1.0, 2.0])}
    steps = [Step(0, weights=start)]
    for i, loss in enumerate(losses):
        steps.append(Step(i + 1, loss, outputs if i == 0 else {}, gradients, weights))
    return Listed(label, steps)


def test_losses_gradients_and_updates_are_measured_against_the_largest_value():
    a, b = side("a", [2.0, 1.0]), side("b", [2.0, 1.25], kernel=(0.0, 0.5), bias=0.1, gradient=3.0)
    found = differences(a, b)
    assert found.labels == ("a", "b") and found.losses == ([2.0, 1.0], [2.0, 1.25])
    assert found.loss == [0.0, 0.2]
    assert found.outputs == {"dense_1": 0.0}
    assert found.gradients == {"dense_1": [0.25, 0.25]}, "1 of at most 4"
    assert found.updates == {"dense_1": [0.5, 0.0]}, "0.5 of at most 1, then both stay where they are"
    assert found.same_start


def test_another_start_is_noticed():
    other = side("b", [1.0])
    other._steps[0].weights["dense_1.bias"][0] = 1e-30
    assert not differences(side("a", [1.0]), other).same_start


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [(1.0, 1.0, 0.0), (0.0, 0.0, 0.0), (1.5, 2.0, 0.25), (float("nan"), 1.0, np.inf), (np.inf, np.inf, np.inf)],
)
def test_relative(a, b, expected):
    assert relative(a, b) == expected


def test_apart_of_what_is_no_number_or_has_another_shape_is_infinite():
    ones = np.ones(3)
    assert apart([(ones, np.array([1.0, np.nan, 1.0]))]) == np.inf
    assert apart([(ones, np.ones(2))]) == np.inf
    assert apart([(ones, ones), (np.zeros(0), np.zeros(0))]) == 0
    assert apart([(np.zeros(2), np.zeros(2))]) == 0


def test_float32_differences_are_not_rounded_away():
    a = np.array([1.0], np.float32)
    assert apart([(a, np.nextafter(a, np.float32(2)))]) == pytest.approx(1.19e-7, rel=0.01)


def test_large_arrays_are_sampled_at_the_same_places_on_both_sides():
    array = np.arange(3 * LARGEST, dtype=np.float64).reshape(3, -1)
    first, again = sampled("w", array), sampled("w", array.copy())
    assert first.shape == (LARGEST,) and np.array_equal(first, again)
    assert not np.array_equal(first, sampled("v", array))
    assert len(np.unique(first)) > 0.8 * LARGEST / 1.2 and first.min() < LARGEST / 100
    assert sampled("w", array[0]).tolist() == array[0].tolist()


def test_a_recording_gives_back_what_was_written(tmp_path):
    original = side("a", [0.1, float("nan")])
    recording = Recording(tmp_path / "float64", "a")
    for step in original.steps():
        recording.write(step)
    recording.finish([0.1, float("nan")], [[0.1, 0.2]])
    again = list(recording.steps())
    assert [s.number for s in again] == [0, 1, 2] and again[1].loss == 0.1 and np.isnan(again[2].loss)
    for kind in ("outputs", "gradients", "weights"):
        for mine, theirs in zip(original.steps(), again, strict=True):
            assert getattr(mine, kind).keys() == getattr(theirs, kind).keys()
            assert all(np.array_equal(v, getattr(theirs, kind)[k]) for k, v in getattr(mine, kind).items())
    assert recording.noise().tolist() == [[0.1, 0.2]]
