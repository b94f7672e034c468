"""Draws are pure, independent and follow the distributions that they name. All inputs are fixed: nothing is left to
chance here."""

from __future__ import annotations

import numpy as np
import pytest

from dlrun.data.draws import Draws

MANY = np.arange(40_000)


def draws(name: str = "a", seed: int = 0, epoch: int = 0, samples: np.ndarray = MANY) -> Draws:
    return Draws(seed, epoch, samples, name)


def chi_square(counts: np.ndarray) -> float:
    """Pearson's statistic against equal frequencies, in standard deviations from its mean."""
    expected = counts.sum() / counts.size
    degrees = counts.size - 1
    return float((((counts - expected) ** 2 / expected).sum() - degrees) / np.sqrt(2 * degrees))


METHODS = {
    "bits": lambda d: d.bits("x", 3),
    "uniform": lambda d: d.uniform("x", -1, 2, 3),
    "integers": lambda d: d.integers("x", 5, 90, 3),
    "chance": lambda d: d.chance("x", 0.5),
    "normal": lambda d: d.normal("x", 3),
    "beta": lambda d: d.beta("x", 0.4),
}


@pytest.mark.parametrize("method", METHODS)
def test_a_sample_draws_the_same_alone_in_any_batch_and_in_any_order(method: str) -> None:
    rows = np.array([7, 0, 12_345_678, 3, 2**40])
    whole = METHODS[method](draws(samples=rows))
    order = np.array([3, 1, 4, 0, 2])
    np.testing.assert_array_equal(METHODS[method](draws(samples=rows[order])), whole[order])
    np.testing.assert_array_equal(METHODS[method](draws(samples=rows)[order]), whole[order])
    for i, row in enumerate(rows):
        np.testing.assert_array_equal(METHODS[method](draws(samples=rows[i : i + 1])), whole[i : i + 1])
        np.testing.assert_array_equal(METHODS[method](draws(samples=np.array([5, row])).one(1)), whole[i : i + 1])


@pytest.mark.parametrize("method", METHODS)
def test_names_epochs_seeds_and_samples_draw_other_numbers(method: str) -> None:
    base = METHODS[method](draws(samples=MANY[:200]))
    others = [draws("b"), draws(epoch=1), draws(seed=1), draws(samples=MANY + 200), draws().of("part")]
    for other in others:
        again = METHODS[method](other[:200])
        limit = 0.65 if method == "chance" else 0.1
        assert np.mean(again == base) < limit


def test_parts_of_a_name_are_not_confused() -> None:
    words = {
        draws(name).of(part).bits(what)[0, 0]
        for name, part, what in (("a", "b", "c"), ("a", "bc", ""), ("ab", "", "c"))
    }
    assert len(words) == 3


@pytest.mark.parametrize("method", ["bits", "uniform", "integers", "normal"])
def test_more_numbers_begin_with_the_fewer(method: str) -> None:
    few = {"bits": draws().bits, "uniform": draws().uniform, "normal": draws().normal}
    if method == "integers":
        np.testing.assert_array_equal(draws().integers("x", 0, 9, 5)[:, :2], draws().integers("x", 0, 9, 2))
    else:
        np.testing.assert_array_equal(few[method]("x", count=5)[:, :3], few[method]("x", count=3))


def test_words_are_those_written_down() -> None:
    """What was drawn once is drawn for ever: a resumed run must not change with a version."""
    words = Draws(3, 2, np.array([0, 1, 2**33]), "0.random_crop").bits("top", 2)
    assert words.tolist() == WORDS


WORDS = [
    [5589558373350899731, 2388605240257914274],
    [18418380922717445542, 5557010474281373808],
    [15667894457397062849, 9244374651374438881],
]


@pytest.mark.parametrize("bit", [0, 1, 11, 31, 32, 63])
def test_each_bit_is_set_half_of_the_time_for_consecutive_samples(bit: int) -> None:
    share = ((draws().bits("x")[:, 0] >> np.uint64(bit)) & np.uint64(1)).mean()
    assert abs(share - 0.5) < 4 * 0.5 / np.sqrt(len(MANY))


def test_uniform_numbers_are_uniform() -> None:
    u = draws().uniform("x", 2, 5)[:, 0]
    assert u.min() >= 2 and u.max() < 5
    assert abs(u.mean() - 3.5) < 4 * 3 / np.sqrt(12 * len(MANY))
    assert abs(chi_square(np.histogram(u, 256, (2, 5))[0])) < 4


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (draws().uniform("x"), draws().uniform("y")),
        (draws("0.random_flip").uniform("x"), draws("1.random_flip").uniform("x")),
        (draws(epoch=4).uniform("x"), draws(epoch=5).uniform("x")),
        (draws(seed=1).uniform("x"), draws(seed=2).uniform("x")),
        (draws().uniform("x")[:-1], draws().uniform("x")[1:]),
        (draws().uniform("x", count=2)[:, :1], draws().uniform("x", count=2)[:, 1:]),
        (draws(samples=MANY).uniform("x"), draws(samples=MANY + 40_000).uniform("x")),
    ],
    ids=["names", "places", "epochs", "seeds", "neighbours", "numbers", "blocks"],
)
def test_pairs_of_draws_are_independent(first: np.ndarray, second: np.ndarray) -> None:
    counts = np.histogram2d(first[:, 0], second[:, 0], 16, ((0, 1), (0, 1)))[0]
    assert abs(chi_square(counts.ravel())) < 4
    assert abs(np.corrcoef(first[:, 0], second[:, 0])[0, 1]) < 4 / np.sqrt(len(first))


def test_integers_reach_both_ends_equally_and_may_have_bounds_of_their_own() -> None:
    found = draws().integers("x", 3, 10)[:, 0]
    assert abs(chi_square(np.bincount(found, minlength=10)[3:])) < 4 and found.min() == 3 and found.max() == 9
    high = np.where(MANY % 2, 2, 6)[:, None]
    own = draws().integers("x", 0, high)
    assert own.shape == (40_000, 1) and (own < high).all()
    assert set(own[1::2, 0]) == {0, 1} and set(own[::2, 0]) == set(range(6))


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5, 1.0])
def test_chance_is_as_likely_as_it_says(probability: float) -> None:
    share = draws().chance("x", probability).mean()
    assert abs(share - probability) <= 4 * np.sqrt(probability * (1 - probability) / len(MANY))


def test_normal_numbers_are_normal() -> None:
    stats = pytest.importorskip("scipy.stats")
    z = draws().normal("x", 3)
    assert np.isfinite(z).all()
    for column in z.T:
        assert stats.kstest(column, "norm").pvalue > 1e-3
    assert np.abs(np.corrcoef(z.T) - np.eye(3)).max() < 4 / np.sqrt(len(MANY))


@pytest.mark.parametrize(("a", "b"), [(0.2, None), (0.4, None), (1.0, None), (3.0, None), (2.0, 0.5)])
def test_beta_numbers_follow_their_distribution(a: float, b: float | None) -> None:
    stats = pytest.importorskip("scipy.stats")
    found = draws().beta("x", a, b)
    assert found.shape == (40_000,) and found.min() >= 0 and found.max() <= 1
    assert stats.kstest(found, stats.beta(a, a if b is None else b).cdf).pvalue > 1e-3


def test_beta_of_a_small_parameter_is_right_far_below_one_half() -> None:
    """Above it too many numbers are rounded to 1 for the test of its distribution."""
    stats = pytest.importorskip("scipy.stats")
    found = draws().beta("x", 0.05)
    low = found[found < 0.5]
    assert abs(len(low) / len(found) - 0.5) < 4 * 0.5 / np.sqrt(len(found))
    assert stats.kstest(low, lambda x: 2 * stats.beta(0.05, 0.05).cdf(x)).pvalue > 1e-3


def test_beta_of_a_tiny_parameter_is_an_exchange() -> None:
    found = draws().beta("x", 1e-4)
    assert ((found < 1e-6) | (found > 1 - 1e-6)).mean() > 0.99 and abs(found.mean() - 0.5) < 0.02
    assert np.isfinite(found).all()


def test_the_last_resort_of_a_gamma_number_is_its_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one proposal that fails for one number in twenty the others still follow the distribution."""
    from dlrun.data import draws as module

    monkeypatch.setattr(module, "_TRIES", 1)
    found = draws()._log_gamma("x", 1.0)
    mode = np.isclose(found, np.log(2 / 3))
    assert 0.01 < mode.mean() < 0.06
