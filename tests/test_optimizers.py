"""Optimizers: first updates worked by hand, then shared problems that each of them must solve."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dlrun.errors import DlrunError
from dlrun.optimizers import Optimizer, optimizers


def make(kind: str, **fields: object) -> Optimizer:
    return optimizers.get(kind)(**fields)


def run(optimizer: Optimizer, w: float, gradients: list[float], rates: list[float] | None = None) -> list[float]:
    """The weight after each update with these gradients."""
    value = np.array(w)
    slots = optimizer.new_slots(())
    seen = []
    for t, g in enumerate(gradients, 1):
        rate = rates[t - 1] if rates else optimizer.learning_rate
        value = optimizer.update(value, np.array(g), slots, t, rate)
        seen.append(float(value))
    return seen


BY_HAND = {
    "sgd": (make("sgd", learning_rate=0.1), [1.0, 2.0], [0.9, 0.7]),
    "sgd-decay": (make("sgd", learning_rate=0.1, weight_decay=0.5), [1.0], [1 - 0.1 * (1 + 0.5)]),
    # b = 1, then 0.9 + 2 = 2.9
    "sgd-momentum": (make("sgd", learning_rate=0.1, momentum=0.9), [1.0, 2.0], [0.9, 0.9 - 0.29]),
    # step = g + 0.9 b: 1.9, then 2 + 2.61
    "sgd-nesterov": (make("sgd", learning_rate=0.1, momentum=0.9, nesterov=True), [1.0, 2.0], [0.81, 0.81 - 0.461]),
    # the first step of Adam is the rate, whatever the gradient's size
    "adam": (make("adam", learning_rate=0.1, epsilon=0.0), [123.0], [0.9]),
    # epsilon stands outside the bias-corrected root
    "adam-epsilon": (make("adam", learning_rate=0.1, epsilon=1.0), [2.0], [1 - 0.1 * 2 / (2 + 1)]),
    "adam-decay": (make("adam", learning_rate=0.1, epsilon=1.0, weight_decay=1.0), [2.0], [1 - 0.1 * 3 / (3 + 1)]),
    "adamw": (make("adamw", learning_rate=0.1, epsilon=1.0, weight_decay=0.5), [2.0], [0.95 - 0.1 * 2 / (2 + 1)]),
    # m = 0.1 then 0.29, v = 0.001 then 0.004999; corrected by 0.19 and 0.001999
    "adam-two": (
        make("adam", learning_rate=0.1, epsilon=0.0),
        [1.0, 2.0],
        [0.9, 0.9 - 0.1 * (0.29 / 0.19) / math.sqrt(0.004999 / 0.001999)],
    ),
    # q = 0.1 * 4; the root, then epsilon
    "rmsprop": (make("rmsprop", learning_rate=0.1, alpha=0.9, epsilon=1.0), [2.0], [1 - 0.2 / (math.sqrt(0.4) + 1)]),
    # q - c^2 = 0.4 - 0.04
    "rmsprop-centered": (
        make("rmsprop", learning_rate=0.1, alpha=0.9, epsilon=0.0, centered=True),
        [2.0],
        [1 - 0.1 * 2 / 0.6],
    ),
    # b = 1, then 0.5 + (1 - 0.4) 2
    "sgd-dampening": (make("sgd", learning_rate=0.1, momentum=0.5, dampening=0.4), [1.0, 2.0], [0.9, 0.9 - 0.17]),
    # v falls, its largest value does not: 0.5 * 4 = 2, then 0.5 * 2 + 0.5 * 1 = 1.5; m = 2, then 1
    "amsgrad": (
        make("adam", learning_rate=0.1, betas=(0.0, 0.5), epsilon=0.0, amsgrad=True),
        [2.0, 1.0],
        [0.9, 0.9 - 0.1 / math.sqrt(2 / 0.75)],
    ),
    # u = 2, then max(0.5 * 2, 0.5) = 1; m = 2, then 0.5
    "adamax": (make("adamax", learning_rate=0.1, betas=(0.0, 0.5), epsilon=1e-300), [2.0, 0.5], [0.9, 0.85]),
    # k = 0.8 (1 - 0.96 / 2), 0.8 (1 - 0.9216 / 2): g and m = 0.2 * 2, over |g|
    "nadam": (
        make("nadam", learning_rate=0.1, betas=(0.8, 0.5), epsilon=0.0, momentum_decay=1.0),
        [2.0],
        [1 - 0.1 * (1.0 + 0.2 * 0.43136 / (1 - 0.416 * 0.43136))],
    ),
    # too early to know the variance: plain momentum
    "radam": (make("radam", learning_rate=0.1, betas=(0.9, 0.999)), [2.0], [0.8]),
    # q = 9, then 9 + 16
    "adagrad": (make("adagrad", learning_rate=0.1, epsilon=0.0), [3.0, 4.0], [0.9, 0.82]),
    "adagrad-start": (
        make("adagrad", learning_rate=0.1, epsilon=0.0, initial_sum=7.0, learning_rate_decay=1.0),
        [3.0, 3.0],
        [1 - 0.3 / 4, 1 - 0.3 / 4 - 0.05 * 3 / 5],
    ),
    # q = 0.5 * 6 = 3, and 1 inside both roots
    "adadelta": (make("adadelta", rho=0.5, epsilon=1.0), [math.sqrt(6)], [1 - math.sqrt(6) / 2]),
    # signs only; 0.5 * 4, then 0.5 * 0.4 - 0.5 * 1, as m = 0.1 * 4
    "lion": (
        make("lion", learning_rate=0.1, betas=(0.5, 0.9), weight_decay=1.0),
        [4.0, -1.0],
        [0.8, 0.8 * 0.9 + 0.1],
    ),
    # as long as the weight, whatever the gradient: 1 * 0.1, then 0.9 * 0.1
    "lamb": (make("lamb", learning_rate=0.1, epsilon=0.0), [123.0, 123.0], [0.9, 0.81]),
    # g / |g|, its size clipped to 1, times the weight's size times min(rate, 1)
    "adafactor": (make("adafactor", learning_rate=0.1, weight_decay=0.5), [5.0], [0.95 - 0.1]),
    # u = 1 / sqrt(0.1) twice, as the second gradient keeps g^2 / q the same only with alpha = 0
    "rmsprop-momentum": (
        make("rmsprop", learning_rate=0.1, alpha=0.0, epsilon=0.0, momentum=0.5),
        [3.0, 5.0],
        [0.9, 0.9 - 0.15],
    ),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_first_updates_by_hand(case: str) -> None:
    optimizer, gradients, expected = BY_HAND[case]
    np.testing.assert_allclose(run(optimizer, 1.0, gradients), expected, rtol=1e-14)


def test_the_buffer_does_not_hold_the_rate() -> None:
    """After the rate falls to zero nothing moves, although the buffer is full."""
    for optimizer in (make("sgd", momentum=0.9), make("rmsprop", momentum=0.9)):
        _, second = run(optimizer, 1.0, [1.0, 1.0], rates=[0.1, 0.0])
        (first,) = run(optimizer, 1.0, [1.0], rates=[0.1])
        assert second == first


SOLVERS = {
    "sgd": make("sgd", learning_rate=0.05),
    "momentum": make("sgd", learning_rate=0.01, momentum=0.9),
    "nesterov": make("sgd", learning_rate=0.01, momentum=0.9, nesterov=True),
    "adam": make("adam", learning_rate=0.05),
    "adamw": make("adamw", learning_rate=0.05, weight_decay=0.0),
    "rmsprop": make("rmsprop", learning_rate=0.01),
    "rmsprop-centered": make("rmsprop", learning_rate=0.003, centered=True, momentum=0.5),
    "amsgrad": make("adam", learning_rate=0.05, amsgrad=True),
    "adamax": make("adamax", learning_rate=0.05),
    "nadam": make("nadam", learning_rate=0.05),
    "radam": make("radam", learning_rate=0.05),
    "adagrad": make("adagrad", learning_rate=0.5),
    "adadelta": make("adadelta", learning_rate=1.0, epsilon=1e-4),
    "adafactor": make("adafactor", learning_rate=0.05),
    "lion": make("lion", learning_rate=0.01),
    "lamb": make("lamb", learning_rate=0.02),
}


def bowl(w: np.ndarray) -> np.ndarray:
    """Gradient of a quadratic with curvatures 1 to 10 around (1, -2, 3)."""
    return np.array([1.0, 4.0, 10.0]) * (w - np.array([1.0, -2.0, 3.0]))


def least_squares(w: np.ndarray) -> np.ndarray:
    """Gradient of a well-posed regression whose answer is (1, -2, 3)."""
    a = np.random.default_rng(0).normal(size=(50, 3))
    return a.T @ (a @ (w - np.array([1.0, -2.0, 3.0]))) / 50


@pytest.mark.parametrize("problem", [bowl, least_squares])
@pytest.mark.parametrize("solver", SOLVERS)
def test_shared_problems_are_solved(solver: str, problem) -> None:
    optimizer, w = SOLVERS[solver], np.zeros(3)
    slots = optimizer.new_slots((3,))
    steps = 3000
    for t in range(1, steps + 1):
        w = optimizer.update(w, problem(w), slots, t, optimizer.learning_rate * (1 - t / steps))
    np.testing.assert_allclose(w, [1, -2, 3], atol=1e-3)


@pytest.mark.parametrize("kind", optimizers.names())
def test_slots_are_exactly_what_an_update_changes(kind: str) -> None:
    optimizer = make(kind)
    for shape in ((2,), (3, 2)):
        before = optimizer.new_slots(shape)
        slots = dict(before)
        optimizer.update(np.ones(shape), np.ones(shape), slots, 1, 0.1)
        assert {name: s.shape for name, s in slots.items()} == optimizer.slots(shape)
        assert all((s != before[name]).any() for name, s in slots.items())


def test_every_registered_optimizer_solves_the_problems() -> None:
    assert {o.kind for o in SOLVERS.values()} == set(optimizers)


def test_slot_names_follow_the_fields() -> None:
    assert list(make("sgd").slots((2,))) == []
    assert list(make("sgd", momentum=0.1).slots((2,))) == ["momentum_buffer"]
    assert list(make("rmsprop", momentum=0.1, centered=True).slots(())) == ["square_avg", "momentum_buffer", "grad_avg"]
    assert make("adafactor").slots((3, 4, 5)) == {"row_var": (3, 4, 1), "col_var": (3, 1, 5)}


def test_adafactor_keeps_rows_and_columns() -> None:
    """A gradient that is an outer product is known exactly from its rows and columns."""
    optimizer = make("adafactor", learning_rate=0.1, epsilon=1e-30)
    g = np.outer([1.0, 2.0, 3.0], [4.0, -5.0])
    w = optimizer.update(np.ones((3, 2)), g, optimizer.new_slots((3, 2)), 1, 0.1)
    np.testing.assert_allclose(w, 1 - 0.1 * np.sign(g), rtol=1e-14)


def test_nesterov_refuses_dampening() -> None:
    with pytest.raises(DlrunError) as caught:
        make("sgd", momentum=0.9, nesterov=True, dampening=0.1)
    assert caught.value.code == "nesterov-with-dampening"


def test_nesterov_needs_momentum() -> None:
    with pytest.raises(DlrunError, match="needs `momentum` above 0") as caught:
        make("sgd", nesterov=True)
    assert caught.value.code == "nesterov-without-momentum"
