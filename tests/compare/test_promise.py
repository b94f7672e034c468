"""What is promised, and when the recipe's own noise widens it."""

from __future__ import annotations

import numpy as np
import pytest

from dlrun.compare.promise import checks, has_recurrent, noise_of


def test_float64_is_held_to_1e12_over_20_updates():
    (check,) = checks("float64", [0.0] * 19 + [9e-13], None, False)
    assert (check.steps, check.limit, check.allowed, check.holds) == (20, 1e-12, 1e-12, True)
    (check,) = checks("float64", [0.0] * 4 + [1.1e-12] + [0.0] * 15, None, False)
    assert not check.holds and check.first_past == 5 and check.difference == 1.1e-12


def test_recurrent_models_have_ten_times_as_much_in_float64_only():
    (check,) = checks("float64", [9e-12] * 20, None, True)
    assert check.holds and check.limit == 1e-11
    assert [c.limit for c in checks("float32", [0.0] * 50, None, True)] == [1e-5, 1e-3]


def test_float32_is_held_to_two_limits():
    early, late = checks("float32", [1e-6] * 10 + [5e-4] * 40, None, False)
    assert early.holds and late.holds and (early.steps, late.steps) == (10, 50)
    early, late = checks("float32", [1e-6] * 9 + [2e-5] + [5e-4] * 40, None, False)
    assert early.first_past == 10 and late.holds


def test_shorter_runs_are_held_to_the_limit_they_fall_under():
    (only,) = checks("float32", [1e-4] * 3, None, False)
    assert (only.steps, only.limit, only.first_past) == (3, 1e-5, 1)
    assert [c.steps for c in checks("float32", [0.0] * 30, None, False)] == [10, 30]
    assert [c.steps for c in checks("float32", [0.0] * 10, None, False)] == [10]


def test_nothing_is_promised_of_later_updates():
    made = checks("float32", [0.0] * 50 + [1.0] * 10, None, False)
    assert [c.steps for c in made] == [10, 50] and all(c.holds for c in made)


def test_ten_times_the_noise_is_allowed_where_that_is_larger():
    noise = np.full(20, 5e-13)
    (check,) = checks("float64", [4e-12] * 20, noise, False)
    assert check.holds and check.by_noise and check.allowed == pytest.approx(5e-12)
    (check,) = checks("float64", [6e-12] * 20, noise, False)
    assert not check.holds and not check.by_noise
    (check,) = checks("float64", [9e-13] * 20, noise, False)
    assert check.holds and not check.by_noise, "it holds without"
    (check,) = checks("float64", [4e-12] * 20, np.full(20, 1e-16), False)
    assert check.allowed == 1e-12 and not check.holds


def test_a_noise_that_would_allow_any_loss_allows_nothing():
    (check,) = checks("float64", [0.0] * 19 + [0.9], np.full(20, 0.1), False)
    assert not check.holds and check.too_noisy and check.allowed == 1e-12
    (check,) = checks("float64", [0.0] * 19 + [0.9], np.full(20, 0.099), False)
    assert check.holds and check.by_noise and not check.too_noisy
    (check,) = checks("float64", [0.0] * 20, np.full(20, 0.5), False)
    assert check.holds and not check.too_noisy, "it holds without"


def test_what_is_no_number_is_never_allowed():
    (check,) = checks("float64", [0.0, np.inf], np.array([0.0, np.inf]), False)
    assert check.first_past == 2 and check.allowed == 1e-12


def test_noise_is_the_worst_repetition_up_to_each_update():
    found = noise_of([1.0, 2.0, 4.0], np.array([[1.0, 2.2, 4.0], [1.01, 2.0, 4.0]]))
    np.testing.assert_allclose(found, [0.01, 0.1, 0.1])
    assert noise_of([1.0, 2.0], np.zeros((0, 2))) is None
    assert noise_of([0.0], np.array([[0.0]])).tolist() == [0.0]
    assert noise_of([1.0], np.array([[np.nan]])).tolist() == [np.inf]


def test_recurrent_layers_are_recognised():
    from dlrun.graph import TensorType, build_graph, layers

    relu = layers.get("relu")()
    assert not has_recurrent(build_graph([relu], TensorType((3, 2))))
    if "lstm" in layers:
        assert has_recurrent(build_graph([layers.get("lstm")(units=2), relu], TensorType((3, 2))))
