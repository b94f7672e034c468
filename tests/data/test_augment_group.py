"""Augmentations in augmentations: each sample gets what it would have got alone, from draws of its own place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlrun.cli import app
from dlrun.data.augment.crop import RandomCrop
from dlrun.data.augment.flip import RandomFlip
from dlrun.data.augment.group import RandomApply, RandomChoice
from dlrun.data.augment.mix import Mixup
from dlrun.data.augment.noise import GaussianNoise
from dlrun.data.augment.policy import RandAugment
from dlrun.data.augment.tone import RandomInvert
from dlrun.data.draws import Draws
from dlrun.data.source import Signature
from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType

X = np.random.default_rng(0).integers(0, 256, (1000, 6, 6, 1), np.uint8)
INVERT, FLIP = RandomInvert(probability=1.0), RandomFlip(probability=1.0)


def draws(samples: int = 1000) -> Draws:
    return Draws(0, 0, np.arange(samples), "a")


def equal(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x == y).all(axis=(1, 2, 3))


def test_a_sample_gets_all_of_them_in_order_or_none() -> None:
    after = RandomApply(augment=(INVERT, FLIP), probability=0.3).apply(X, draws(), 255)
    both, none = equal(after, (255 - X)[:, :, ::-1]), equal(after, X)
    assert (both ^ none).all() and abs(both.mean() - 0.3) < 4 * np.sqrt(0.21 / 1000)


@pytest.mark.parametrize(("weights", "share"), [(None, 0.5), ((1.0, 3.0), 0.25)])
def test_a_sample_gets_one_of_them(weights: Any, share: float) -> None:
    after = RandomChoice(augment=(INVERT, FLIP), weights=weights).apply(X, draws(), 255)
    first, second = equal(after, 255 - X), equal(after, X[:, :, ::-1])
    assert (first ^ second).all() and abs(first.mean() - share) < 4 * np.sqrt(share * (1 - share) / 1000)


@pytest.mark.parametrize("group", [RandomApply, RandomChoice])
def test_each_draws_for_its_place_and_for_the_sample(group: Any) -> None:
    """The same augmentation twice draws twice; a sample's numbers do not depend on who else was chosen."""
    twice = group(augment=(RandomFlip(), RandomFlip()))
    order = np.random.default_rng(1).permutation(1000)[:300]
    whole = twice.apply(X, draws(), 255)
    part = twice.apply(X[order], draws()[order], 255)
    np.testing.assert_array_equal(part, whole[order])
    if group is RandomApply:
        mirrored = ~equal(RandomApply(augment=(RandomFlip(), RandomFlip()), probability=1.0).apply(X, draws(), 255), X)
        assert 0.4 < mirrored.mean() < 0.6


@pytest.mark.parametrize(
    ("group", "code", "path", "said"),
    [
        (
            RandomApply(augment=(FLIP, Mixup())),
            "mixes-samples",
            ("augment", 1, "mixup"),
            "cannot stand in `random_apply`",
        ),
        (
            RandomChoice(augment=(RandomCrop(size=3),)),
            "shape-mismatch",
            ("augment", 0, "random_crop"),
            r"\(N, 3, 3, 1\)",
        ),
        (
            RandomChoice(augment=(RandomCrop(size=9),)),
            "crop-too-large",
            ("augment", 0, "random_crop", "size"),
            "9 by 9",
        ),
        (
            RandomChoice(augment=(FLIP,), weights=(1.0, 2.0)),
            "wrong-shares",
            ("weights",),
            "2 numbers for 1 augmentations",
        ),
    ],
)
def test_groups_that_cannot_be_are_refused(group: Any, code: str, path: tuple[Any, ...], said: str) -> None:
    with pytest.raises(DlrunError, match=said) as caught:
        group.infer(TensorType((6, 6, 1)))
    assert (caught.value.code, caught.value.path) == (code, path)


def test_a_group_asks_each_about_the_data() -> None:
    signature = Signature(TensorType((6, 6, 1)), TensorType((), "int"), 2, None, {"train": 9}, stored_dtype="float32")
    RandomApply(augment=(GaussianNoise(std=0.1), FLIP)).check(signature)
    with pytest.raises(DlrunError, match="`rand_augment` needs 8-bit images") as caught:
        RandomApply(augment=(FLIP, RandAugment())).check(signature)
    assert caught.value.path == ("augment", 1, "rand_augment")


def test_a_recipe_writes_groups_as_lists_in_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = (
        "task: image_classification\nmodel: {layers: [flatten, dense]}\ndata:\n  source: digits\n  augment:\n"
        "    - random_apply:\n        probability: 0.8\n        augment:\n"
        "          - color_jitter: {brightness: 0.4}\n          - random_choice:\n              augment:\n"
        "                - gaussian_blur\n                - cutout: {size: 2}\n"
    )
    Path("a.yaml").write_text(recipe)
    assert app.run(["check", "recipe=./a.yaml"]) == 0, capsys.readouterr().err
    Path("b.yaml").write_text(recipe.replace("size: 2", "size: 20"))
    capsys.readouterr()
    assert app.run(["check", "recipe=./b.yaml"]) == 2
    error = capsys.readouterr().err
    assert "wrong-size" in error and "b.yaml:13:" in error
    assert "data.augment[0].random_apply.augment[1].random_choice.augment[1].cutout.size" in error


@pytest.mark.parametrize("group", [RandomApply, RandomChoice])
def test_an_empty_list_is_refused(group: Any) -> None:
    with pytest.raises(DlrunError) as caught:
        group(augment=())
    assert (caught.value.code, caught.value.path) == ("nothing-to-change", ("augment",))
    assert f"`{group.kind}.augment` is an empty list" in str(caught.value)
