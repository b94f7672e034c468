"""What the policies do: their tables, their strengths and how often each operation is chosen."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from dlrun.data.augment.operations import OPERATIONS, SIGNED, Canvas, Step, applied
from dlrun.data.augment.policy import _CHOICES, AutoAugment, RandAugment, TrivialAugment, strength
from dlrun.data.augment.published import policy
from dlrun.data.draws import Draws

RNG = np.random.default_rng(0)
SAMPLE = RNG.integers(0, 256, (20, 30, 3), np.uint8)
PLAIN = Canvas("nearest", 7)
MANY = 14_000


def draws(samples: int) -> Draws:
    return Draws(0, 0, np.arange(samples), "a")


def done(name: str, magnitude: float, sample: np.ndarray = SAMPLE, canvas: Canvas = PLAIN) -> np.ndarray:
    return applied(sample, [Step(name, magnitude)], canvas)


# tables


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("cifar10", (("invert", 0.1, 0), ("contrast", 0.2, 6)), (("translate_y", 0.7, 9), ("autocontrast", 0.9, 0))),
        ("imagenet", (("posterize", 0.4, 8), ("rotate", 0.6, 9)), (("equalize", 0.8, 0), ("equalize", 0.6, 0))),
        ("svhn", (("shear_x", 0.9, 4), ("invert", 0.2, 0)), (("shear_x", 0.7, 2), ("invert", 0.1, 0))),
    ],
)
def test_a_published_policy_is_25_pairs_of_known_operations(name: Any, first: Any, last: Any) -> None:
    pairs = policy(name)
    assert len(pairs) == 25 and pairs[0] == first and pairs[-1] == last
    for operation, probability, magnitude in (choice for pair in pairs for choice in pair):
        assert operation in OPERATIONS and 0 <= probability <= 1 and 0 <= magnitude <= 9


@pytest.mark.parametrize(
    ("name", "total"), [("cifar10", (26.5, 187)), ("imagenet", (31.0, 159)), ("svhn", (32.9, 143))]
)
def test_the_tables_add_up(name: Any, total: tuple[float, int]) -> None:
    """A digit that slips changes a sum: of probabilities, and of magnitudes."""
    choices = [choice for pair in policy(name) for choice in pair]
    assert (round(sum(c[1] for c in choices), 6), sum(c[2] for c in choices)) == total


# strengths


@pytest.mark.parametrize(
    ("name", "share", "wide", "wanted"),
    [
        ("shear_x", 1.0, False, 0.3),
        ("shear_y", 0.5, True, 0.495),
        ("translate_x", 1.0, False, 331 * 150 / 331),
        ("translate_y", 1.0, False, 662 * 150 / 331),
        ("translate_y", 1.0, True, 32.0),
        ("rotate", 0.3, False, 9.0),
        ("rotate", 1.0, True, 135.0),
        ("color", 0.5, False, 0.45),
        ("sharpness", 1.0, True, 0.99),
        ("posterize", 0.0, False, 8),
        ("posterize", 1.0, False, 4),
        ("posterize", 1.0, True, 2),
        ("posterize", 8 / 9, False, 4),
        ("posterize", 9 / 30, False, 7),
        ("solarize", 0.0, False, 255.0),
        ("solarize", 1.0, False, 0.0),
        ("equalize", 1.0, True, 0.0),
        ("identity", 1.0, True, 0.0),
    ],
)
def test_strengths_are_those_of_the_papers(name: str, share: float, wide: bool, wanted: float) -> None:
    assert strength(name, share, height=662, width=331, wide=wide) == pytest.approx(wanted)


# operations


@pytest.mark.parametrize(
    ("name", "magnitude", "change"),
    [
        ("brightness", -0.4, lambda i: ImageEnhance.Brightness(i).enhance(0.6)),
        ("color", 0.9, lambda i: ImageEnhance.Color(i).enhance(1.9)),
        ("contrast", 0.5, lambda i: ImageEnhance.Contrast(i).enhance(1.5)),
        ("sharpness", -0.9, lambda i: ImageEnhance.Sharpness(i).enhance(0.1)),
        ("posterize", 5.0, lambda i: ImageOps.posterize(i, 5)),
        ("solarize", 100.5, lambda i: i.point(lambda v: v if v < 100.5 else 255 - v)),
        ("autocontrast", 0.0, ImageOps.autocontrast),
        ("equalize", 0.0, ImageOps.equalize),
        ("invert", 0.0, lambda i: i.point(lambda v: 255 - v)),
        ("rotate", 90.0, lambda i: i.rotate(90, fillcolor=(7, 7, 7))),
        ("identity", 0.0, lambda i: i),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_each_operation_is_pillow_s(name: str, magnitude: float, change: Any, channels: int) -> None:
    sample = SAMPLE[..., :channels]
    if name == "rotate" and channels == 1:
        change = lambda i: i.rotate(90, fillcolor=7)  # noqa: E731
    wanted = np.asarray(change(Image.fromarray(sample.squeeze()))).reshape(sample.shape)
    np.testing.assert_array_equal(done(name, magnitude, sample), wanted)


def test_a_translation_moves_right_and_down_by_whole_pixels() -> None:
    right = done("translate_x", 4.9)
    np.testing.assert_array_equal(right[:, 4:], SAMPLE[:, :-4])
    assert (right[:, :4] == 7).all()
    up = done("translate_y", -3.9)
    np.testing.assert_array_equal(up[:-3], SAMPLE[3:])
    assert (up[-3:] == 7).all()


def test_a_shear_leaves_the_upper_left_corner_and_moves_rows_or_columns() -> None:
    sheared = done("shear_x", 0.5)
    for row in (1, 7, 19):
        offset = int(np.floor(0.5 * (row + 0.5) + 0.5))
        np.testing.assert_array_equal(sheared[row, : 30 - offset], SAMPLE[row, offset:])
    np.testing.assert_array_equal(
        done("shear_y", 0.5, SAMPLE[:20, :20].swapaxes(0, 1)), done("shear_x", 0.5, SAMPLE[:20, :20]).swapaxes(0, 1)
    )


def test_operations_follow_one_another() -> None:
    both = applied(SAMPLE, [Step("invert", 0), Step("translate_x", 3)], PLAIN)
    np.testing.assert_array_equal(both, done("translate_x", 3, done("invert", 0)))


# choices


def test_rand_augment_chooses_each_operation_and_direction_equally() -> None:
    steps = RandAugment(number=2, magnitude=15).steps(draws(MANY), 331, 331)
    assert all(len(two) == 2 for two in steps)
    first, second = (Counter(two[k].name for two in steps) for k in (0, 1))
    for counts in (first, second):
        assert set(counts) == set(_CHOICES) and all(abs(c - 1000) < 4 * np.sqrt(1000) for c in counts.values())
    pairs = Counter((two[0].name, two[1].name) for two in steps)
    assert len(pairs) == 14 * 14 and max(pairs.values()) < 71 + 5 * np.sqrt(71)
    rotations = [s.magnitude for two in steps for s in two if s.name == "rotate"]
    assert set(np.round(rotations, 6)) == {15.0, -15.0}
    assert abs(np.mean(np.sign(rotations))) < 4 / np.sqrt(len(rotations))
    assert {s.magnitude for two in steps for s in two if s.name == "solarize"} == {127.5}


def test_trivial_augment_chooses_each_strength_equally() -> None:
    steps = TrivialAugment().steps(draws(MANY), 32, 32)
    assert all(len(one) == 1 for one in steps)
    counts = Counter(one[0].name for one in steps)
    assert set(counts) == set(_CHOICES) and all(abs(c - 1000) < 4 * np.sqrt(1000) for c in counts.values())
    thresholds = Counter(round(one[0].magnitude, 6) for one in steps if one[0].name == "solarize")
    assert len(thresholds) == 31 and max(thresholds) == 255 and min(thresholds) == 0
    assert max(thresholds.values()) < 33 + 5 * np.sqrt(33)
    signed = [one[0].magnitude for one in steps if one[0].name == "shear_y"]
    assert min(signed) == -0.99 and max(signed) == 0.99


def test_auto_augment_does_each_operation_as_often_as_its_policy_says() -> None:
    steps = AutoAugment(policy="svhn").steps(draws(MANY), 32, 32)
    counts = Counter(step.name for some in steps for step in some)
    wanted: Counter[str] = Counter()
    for name, probability, _ in (choice for pair in policy("svhn") for choice in pair):
        wanted[name] += probability * MANY / 25
    assert set(counts) == {name for name, count in wanted.items() if count}
    for name, count in wanted.items():
        assert abs(counts[name] - count) < 5 * np.sqrt(count), name
    lengths = Counter(len(some) for some in steps)
    both = np.mean([a[1] * b[1] for a, b in policy("svhn")])
    assert abs(lengths[2] / MANY - both) < 0.02
    rotations = {round(abs(s.magnitude), 6) for some in steps for s in some if s.name == "rotate"}
    assert rotations == {round(30 * 3 / 9, 6), round(30 * 4 / 9, 6)}
    shears = [s.magnitude for some in steps for s in some if s.name in ("shear_x", "shear_y")]
    assert abs(np.mean(np.sign(shears))) < 4 / np.sqrt(len(shears))


def test_magnitude_0_of_rand_augment_changes_tones_alone() -> None:
    x = np.repeat(SAMPLE[None], 300, axis=0)
    augmentation = RandAugment(number=1, magnitude=0)
    steps = augmentation.steps(draws(300), 20, 30)
    after = augmentation.apply(x, draws(300), 255)
    for (step,), sample in zip(steps, after, strict=True):
        if step.name not in ("autocontrast", "equalize", "solarize"):
            np.testing.assert_array_equal(sample, SAMPLE, err_msg=step.name)
    assert not SIGNED & {"autocontrast", "equalize", "solarize", "posterize", "invert", "identity"}


def test_images_that_end_below_255_are_stretched_for_it() -> None:
    x = np.repeat(RNG.integers(0, 17, (1, 9, 9, 1), np.uint8), 600, axis=0)
    augmentation = AutoAugment(policy="svhn")
    steps = augmentation.steps(draws(600), 9, 9)
    after = augmentation.apply(x, draws(600), 16.0)
    inverted = [i for i, some in enumerate(steps) if [s.name for s in some] == ["invert"]]
    assert inverted and all((after[i] == 16 - x[i]).all() for i in inverted)
    untouched = [i for i, some in enumerate(steps) if not some]
    assert untouched and all((after[i] == x[i]).all() for i in untouched)
