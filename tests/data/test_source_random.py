"""The source of random samples: what it draws, that it draws the same again, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dlrun.data.source import Place, sources
from dlrun.errors import DlrunError

ANYWHERE = Place(download=False)


def source(**fields):
    return sources.get("random")(**fields)


def test_numbers_are_normal_and_class_ids_cover_all_classes() -> None:
    drawn = source(shape=(8, 8, 3), classes=4, samples=500)
    signature, samples = drawn.signature(ANYWHERE), drawn.load("train", ANYWHERE)
    assert samples.x.shape == (500, 8, 8, 3) and samples.x.dtype == signature.stored_dtype == "float32"
    assert abs(samples.x.mean()) < 0.01 and abs(samples.x.std() - 1) < 0.01
    assert samples.y.dtype == np.int64 and set(samples.y.tolist()) == {0, 1, 2, 3}
    assert (signature.classes, signature.sizes, signature.target.dtype) == (4, {"train": 500}, "int")


def test_ids_stay_within_the_vocabulary() -> None:
    drawn = source(shape=(20,), dtype="int", vocabulary=11, lowest=1, classes=2, samples=300)
    samples = drawn.load("train", ANYWHERE)
    assert drawn.signature(ANYWHERE).input.dtype == "int" and samples.x.dtype == np.int64
    assert drawn.signature(ANYWHERE).vocabulary == 11
    assert set(samples.x.ravel().tolist()) == set(range(1, 11))


def test_labels_per_position_and_numbers_as_labels() -> None:
    mask = source(shape=(4, 6, 1), classes=3, target=(4, 6), samples=50).load("train", ANYWHERE)
    assert mask.y.shape == (50, 4, 6) and set(mask.y.ravel().tolist()) == {0, 1, 2}
    numbers = source(shape=(5,), target=(2,), samples=50)
    assert numbers.load("train", ANYWHERE).y.dtype == np.float32
    assert numbers.signature(ANYWHERE).target.shape == (2,) and numbers.signature(ANYWHERE).classes is None


def test_a_sample_does_not_depend_on_what_else_is_read() -> None:
    drawn = source(shape=(3,), samples=1000, test_samples=10)
    reader = drawn.open("train", ANYWHERE)
    whole = drawn.load("train", ANYWHERE).x
    rows = np.array([999, 3, 3, 500])
    np.testing.assert_array_equal(reader.take(rows), whole[rows])
    assert len(np.unique(whole[:, 0])) == 1000, "samples differ from one another"
    test = drawn.load("test", ANYWHERE)
    assert len(test) == 10 and not np.isin(test.x, whole).any()
    other = source(shape=(3,), samples=1000, seed=1).load("train", ANYWHERE).x
    assert not np.isin(other, whole).any()


def test_draws_are_the_same_on_every_machine() -> None:
    """Numbers written down once: a change here changes everybody's comparisons."""
    drawn = source(shape=(4,), dtype="int", vocabulary=1000, classes=10, samples=3, seed=7).load("train", ANYWHERE)
    assert drawn.x.tolist() == [[474, 993, 448, 517], [934, 269, 891, 559], [387, 365, 340, 5]]
    assert drawn.y.tolist() == [0, 5, 3]


def test_nothing_is_drawn_for_the_signature_or_on_opening() -> None:
    huge = source(shape=(512, 512, 3), classes=1000, samples=10**9)
    assert huge.signature(ANYWHERE).sizes["train"] == 10**9
    assert huge.open("train", ANYWHERE).take(np.array([10**9 - 1])).shape == (1, 512, 512, 3)


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"shape": ()}, "shape"),
        ({"shape": (4,), "dtype": "int"}, "vocabulary"),
        ({"shape": (4,), "vocabulary": 10}, "vocabulary"),
        ({"shape": (4,), "dtype": "int", "vocabulary": 5, "lowest": 5}, "lowest"),
    ],
)
def test_fields_that_do_not_fit_together(fields, key) -> None:
    with pytest.raises(DlrunError) as caught:
        source(**fields).signature(ANYWHERE)
    assert caught.value.code == "wrong-source" and caught.value.path == ("data", "source", key)
    assert f"`{key}" in caught.value.message or f"`dtype: {fields.get('dtype')}`" in caught.value.message
    assert caught.value.hint


def test_no_file_holds_a_random_sample() -> None:
    drawn = source(shape=(4,))
    with pytest.raises(DlrunError) as caught:
        drawn.read([Path("a.png")], drawn.signature(ANYWHERE))
    assert caught.value.code == "predict-needs-data" and "`a.png`" in caught.value.message


def test_a_recipe_can_name_it() -> None:
    from dlrun.config import compose

    words = ["recipe=digits", "data.source={name: random, shape: [8, 8, 1], classes: 10, samples: 200}"]
    plan = compose([*words, "data.validation=0", "data.batch_size=20"]).plan
    assert plan.steps_per_epoch == 10 and plan.signature.classes == 10
