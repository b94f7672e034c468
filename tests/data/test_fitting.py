"""Transforms that learn their numbers from the training samples, as scikit-learn's do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import impute, preprocessing

from dlrun.data.preprocessing import apply
from dlrun.data.transforms import combined, fit_chain, is_fitted, transforms
from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType

RNG = np.random.default_rng(0)
X = np.round(RNG.normal([0, 1e6, -3, 5], [1, 2, 1e-3, 0], (401, 4)), 3)
HOLES = np.where(RNG.random(X.shape) < 0.2, np.nan, X)
HOLES[:, 3] = np.nan
NUMBERS = np.array([True] * 4)
CASES: dict[str, tuple[str, dict[str, Any], Any]] = {
    "normalize": ("normalize", {}, preprocessing.StandardScaler()),
    "min_max": ("min_max", {}, preprocessing.MinMaxScaler()),
    "robust_scale": ("robust_scale", {}, preprocessing.RobustScaler()),
    "impute-mean": ("impute", {}, impute.SimpleImputer(strategy="mean", keep_empty_features=True)),
    "impute-median": (
        "impute",
        {"statistic": "median"},
        impute.SimpleImputer(strategy="median", keep_empty_features=True),
    ),
    "impute-mode": (
        "impute",
        {"statistic": "most_frequent"},
        impute.SimpleImputer(strategy="most_frequent", keep_empty_features=True),
    ),
}


def fitted(chain: Any, x: np.ndarray, numbers: np.ndarray = NUMBERS, parts: int = 7) -> Any:
    return fit_chain(chain, 1.0, numbers, lambda: np.array_split(x, parts))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("parts", [1, 7])
def test_numbers_are_those_of_scikit_learn(case: str, parts: int) -> None:
    kind, fields, reference = CASES[case]
    x = HOLES if kind == "impute" else X
    chain = fitted((transforms.get(kind)(**fields),), x, parts=parts)
    assert is_fitted(chain) and not is_fitted((transforms.get(kind)(**fields),))
    ours = apply(x, combined(chain, 1.0, NUMBERS), "float64")
    np.testing.assert_allclose(ours, reference.fit_transform(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["normalize", "min_max", "robust_scale"])
@pytest.mark.parametrize("constant", [0.1, 98.6, 1 / 3])
def test_a_column_of_equal_values_is_not_blown_up(kind: str, constant: float) -> None:
    x = np.full((1000, 1), constant)
    chain = fitted((transforms.get(kind)(),), x, np.array([True]))
    ours = apply(np.array([[constant], [constant + 1]]), combined(chain, 1.0, np.array([True])), "float64")
    np.testing.assert_allclose(ours, [[0], [1]], atol=1e-9)


@pytest.mark.parametrize("kind", ["normalize", "min_max", "robust_scale"])
def test_a_column_without_numbers_is_filled_in_all_the_same(kind: str) -> None:
    x = np.full((8, 1), np.nan)
    chain = fitted((transforms.get(kind)(), transforms.get("impute")()), x, np.array([True]))
    np.testing.assert_array_equal(apply(x, combined(chain, 1.0, np.array([True])), "float64"), np.zeros((8, 1)))


def test_each_is_fitted_to_what_the_ones_before_it_leave() -> None:
    chain = fitted((transforms.get("impute")(statistic="median"), transforms.get("normalize")()), HOLES)
    filled = impute.SimpleImputer(strategy="median", keep_empty_features=True).fit_transform(HOLES)
    expected = preprocessing.StandardScaler().fit_transform(filled)
    np.testing.assert_allclose(apply(HOLES, combined(chain, 1.0, NUMBERS), "float64"), expected, rtol=1e-9, atol=1e-9)


def test_an_imputed_value_counts_as_it_is_after_what_comes_before() -> None:
    chain = (transforms.get("rescale")(multiplier=2.0, offset=1.0), transforms.get("impute")(value=7.0))
    x = np.array([[1.0], [np.nan]])
    np.testing.assert_array_equal(apply(x, combined(chain, 1.0, np.array([True])), "float64"), [[3], [7]])


@pytest.mark.parametrize("kind", ["normalize", "min_max", "robust_scale", "impute"])
def test_ids_stay_as_they_are(kind: str) -> None:
    x = np.stack([RNG.normal(size=50), RNG.integers(0, 9, 50)], 1)
    chain = fitted((transforms.get(kind)(),), x, np.array([True, False]))
    out = apply(x, combined(chain, 1.0, np.array([True, False])), "float64")
    np.testing.assert_array_equal(out[:, 1], x[:, 1])
    assert kind == "impute" or not np.array_equal(out[:, 0], x[:, 0])


def test_ids_stay_where_the_recipe_says_the_numbers() -> None:
    chain = (transforms.get("normalize")(mean=1.0, std=2.0), transforms.get("rescale")(multiplier=0.0, offset=9.0))
    x = np.array([[3.0, 3.0], [5.0, 7.0]])
    np.testing.assert_array_equal(apply(x, combined(chain, 1.0, np.array([True, False])), "float64"), [[9, 3], [9, 7]])


def test_pictures_are_normalised_per_channel_in_the_unit_range() -> None:
    x = RNG.integers(0, 256, (20, 5, 4, 3), dtype=np.uint8)
    (normalize,) = fit_chain((transforms.get("normalize")(),), 1 / 255, np.array([True] * 3), lambda: [x[:7], x[7:]])
    flat = x.reshape(-1, 3) / 255
    np.testing.assert_allclose(normalize.mean, flat.mean(0), rtol=1e-12)
    np.testing.assert_allclose(normalize.std, flat.std(0), rtol=1e-12)


@pytest.mark.parametrize(
    ("kind", "fields", "missing"),
    [
        ("normalize", {"mean": 0.5}, "std"),
        ("normalize", {"std": 0.5}, "mean"),
        ("min_max", {"low": 0.0}, "high"),
        ("robust_scale", {"width": 2.0}, "center"),
    ],
)
def test_half_of_the_numbers_is_a_mistake(kind: str, fields: dict[str, float], missing: str) -> None:
    with pytest.raises(DlrunError) as caught:
        transforms.get(kind)(**fields).infer(TensorType((4,)))
    assert caught.value.code == "contradiction" and f"`{missing}`" in caught.value.message
