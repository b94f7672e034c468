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
    slots = {name: np.zeros(()) for name in optimizer.slots()}
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
    slots = {name: np.zeros(3) for name in optimizer.slots()}
    steps = 3000
    for t in range(1, steps + 1):
        w = optimizer.update(w, problem(w), slots, t, optimizer.learning_rate * (1 - t / steps))
    np.testing.assert_allclose(w, [1, -2, 3], atol=1e-3)


@pytest.mark.parametrize("kind", optimizers.names())
def test_slots_are_exactly_what_an_update_changes(kind: str) -> None:
    optimizer = make(kind)
    slots = {name: np.zeros(2) for name in optimizer.slots()}
    optimizer.update(np.ones(2), np.ones(2), slots, 1, 0.1)
    assert tuple(slots) == optimizer.slots()
    assert all(s.any() for s in slots.values())


def test_every_registered_optimizer_solves_the_problems() -> None:
    assert {o.kind for o in SOLVERS.values()} == set(optimizers)


def test_slot_names_follow_the_fields() -> None:
    assert make("sgd").slots() == ()
    assert make("sgd", momentum=0.1).slots() == ("momentum_buffer",)
    assert make("rmsprop", momentum=0.1, centered=True).slots() == ("square_avg", "momentum_buffer", "grad_avg")


def test_nesterov_needs_momentum() -> None:
    with pytest.raises(DlrunError, match="needs `momentum` above 0") as caught:
        make("sgd", nesterov=True)
    assert caught.value.code == "nesterov-without-momentum"
