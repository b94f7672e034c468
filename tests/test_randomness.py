"""Random numbers are functions of counters: nothing here may remember anything."""

from __future__ import annotations

import numpy as np
import pytest

from dlrun.randomness import derive, epoch_order, keep_mask, splitmix64, step_key, step_keys, stream


def test_splitmix64_gives_the_published_sequence() -> None:
    """The first outputs of the generator seeded with 1234567, as published with it."""
    golden = 0x9E3779B97F4A7C15
    outputs = [splitmix64((1234567 + i * golden) & 0xFFFFFFFFFFFFFFFF) for i in range(3)]
    assert outputs == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_keys_differ_by_name_seed_and_boundary() -> None:
    keys = {derive(0, "a", "bc"), derive(0, "ab", "c"), derive(1, "a", "bc"), derive(0, "a", "bc", 0)}
    assert len(keys) == 4
    assert derive(0, "a", "bc") == derive(0, "a", "bc")


def test_streams_are_independent_of_each_other() -> None:
    alone = stream(3, "x").random(4)
    stream(3, "y").random(100)
    np.testing.assert_array_equal(stream(3, "x").random(4), alone)


def test_epoch_order_is_a_permutation_of_its_own_for_each_epoch() -> None:
    orders = [epoch_order(0, e, 1000) for e in range(3)]
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), np.arange(1000))
    assert not np.array_equal(orders[0], orders[1])
    np.testing.assert_array_equal(orders[2], epoch_order(0, 2, 1000))
    np.testing.assert_array_equal(epoch_order(0, 2, 5, shuffle=False), np.arange(5))


def test_step_keys_are_step_key_for_each_step() -> None:
    key = derive(0, "dropout", "dropout_1")
    np.testing.assert_array_equal(step_keys(key, 5, 3), np.array([step_key(key, s) for s in (5, 6, 7)], np.uint64))
    assert len({step_key(key, s, m) for s in range(50) for m in range(4)}) == 200


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_keep_mask_keeps_its_share(rate: float) -> None:
    assert keep_mask(42, (400, 500), rate).mean() == pytest.approx(1 - rate, abs=0.003)


def test_keep_mask_depends_on_place_not_on_shape() -> None:
    whole = keep_mask(7, (6, 50), 0.5)
    np.testing.assert_array_equal(whole.ravel(), keep_mask(7, (300,), 0.5))
    np.testing.assert_array_equal(whole[2:], keep_mask(7, (4, 50), 0.5, offset=100))


def test_masks_of_neighbouring_steps_are_unrelated() -> None:
    key = derive(0, "dropout", "d")
    a, b = (keep_mask(step_key(key, s), (100_000,), 0.5) for s in (10, 11))
    assert (a == b).mean() == pytest.approx(0.5, abs=0.01)
