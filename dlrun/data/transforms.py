"""What is done to every value before the model sees it.

Stored samples are first brought to the unit range (times ``Signature.scale``); then the recipe's
transforms follow in order. All are value-wise, so exports carry them inside. Those that leave their
numbers out are fitted: they get them from the training samples, once, when a run begins.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

import numpy as np
from annotated_types import Gt

from dlrun.data.fitting import Fit, Modes, Moments, Quantiles
from dlrun.data.preprocessing import Preprocessing
from dlrun.described import described
from dlrun.errors import DlrunError, folded
from dlrun.graph.tensor import TensorType
from dlrun.registry import Registry

PerChannel = float | tuple[float, ...]


@described
class Transform:
    """A transform's description; registered with ``@transforms("name")``."""

    kind: ClassVar[str] = ""

    def infer(self, x: TensorType) -> TensorType:
        """The output type. Raises DlrunError when the input does not fit."""
        return x

    def fit(self) -> Fit | None:
        """What has to be known of the training samples first; None where the recipe says all."""
        return None

    def fitted(self, fit: Fit, numbers: np.ndarray) -> Self:
        """The transform with the numbers of a fit.

        Args:
            fit: What ``fit`` gave, after all samples.
            numbers: Which channels are numbers, bool (C,); the others are ids, which stay as they are.
        """
        raise NotImplementedError

    def onto(self, before: Preprocessing, channels: int) -> Preprocessing:
        """What comes before and then this transform, as one."""
        raise NotImplementedError


OF_THE_SOURCE = {
    "centercrop": "Pictures are brought to their size as they are read: `size` with `fit: crop` in `data.source`.",
    "grayscale": "Pictures are read in grey with `channels: 1` in `data.source`.",
    "resize": "Pictures are brought to their size as they are read: `size` in `data.source`.",
    "totensor": "Nothing needs to be written: pictures reach the model as numbers from 0 to 1.",
}
"""What of other tools' preprocessing the source does here."""


def _elsewhere(word: str) -> str | None:
    from dlrun.data.augmentation import augmentations

    if word in augmentations:
        return f"`{word}` is another one in each epoch: it belongs in `data.augment`."
    return OF_THE_SOURCE.get(folded(word))


transforms: Registry[Transform] = Registry("transform", elsewhere=_elsewhere)


def _wide(value: PerChannel, channels: int) -> np.ndarray:
    return np.broadcast_to(np.asarray(value, np.float64), (channels,)).copy()


def _check_channels(kind: str, x: TensorType, **values: PerChannel | None) -> None:
    for name, value in values.items():
        if isinstance(value, tuple) and len(value) != x.shape[-1]:
            raise DlrunError(
                "channels-mismatch",
                f"`{kind}.{name}` has {len(value)} entries but samples have {x.shape[-1]} channels.",
                path=(name,),
            )


def _both(kind: str, given: str, missing: str) -> DlrunError:
    return DlrunError(
        "contradiction",
        f"`{kind}` has `{given}` but no `{missing}`.",
        path=(given,),
        hint="Write both, or neither: then they are those of the training samples.",
    )


@transforms("normalize")
class Normalize(Transform):
    """Subtract a mean and divide by a standard deviation.

    y = (x - m) / s, with m the mean and s the standard deviation of values in the unit range. Left out, they are those
    of the training samples, per channel; s is 1 where all values are equal, m is 0 where there are none. Ids are left
    as they are.

    Args:
        mean: m, one number or one per channel.
        std: s, above 0, one number or one per channel.

    Shapes: (N, *, C) -> (N, *, C).
    Weights: none.
    Errors: channels-mismatch, contradiction.
    Differs: nothing.
    Source: LeCun et al. 1998 (Efficient BackProp).
    """

    known_as = ("standardize", "standard_scaler", "z_score", "normalization")

    mean: PerChannel | None = None
    std: Annotated[float, Gt(0)] | tuple[Annotated[float, Gt(0)], ...] | None = None

    def infer(self, x: TensorType) -> TensorType:
        if (self.mean is None) != (self.std is None):
            raise _both(self.kind, *(("mean", "std") if self.std is None else ("std", "mean")))
        _check_channels(self.kind, x, mean=self.mean, std=self.std)
        return x

    def fit(self) -> Fit | None:
        return Moments() if self.mean is None else None

    def fitted(self, fit: Fit, numbers: np.ndarray) -> Self:
        assert isinstance(fit, Moments)
        std = np.where(numbers & (fit.high > fit.low), fit.std, 1.0)  # that of equal values is not 0 once rounded
        return _with(self, mean=_known(fit.mean, numbers), std=_plain(std))

    def onto(self, before: Preprocessing, channels: int) -> Preprocessing:
        assert self.mean is not None and self.std is not None, "fitted first"
        mean, std = _wide(self.mean, channels), _wide(self.std, channels)
        return before.then(1 / std, -mean / std)


@transforms("rescale")
class Rescale(Transform):
    """Multiply and shift every value.

    y = a x + b, with a the multiplier and b the offset, x in the unit range.

    Args:
        multiplier: a.
        offset: b.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: none.
    Differs: nothing.
    Source: none.
    """

    known_as = ("rescaling",)

    multiplier: float
    offset: float = 0.0

    def onto(self, before: Preprocessing, channels: int) -> Preprocessing:
        return before.then(_wide(self.multiplier, channels), _wide(self.offset, channels))


@transforms("min_max")
class MinMax(Transform):
    """Bring each channel's range to 0 to 1.

    y = (x - l) / (h - l), with l the lowest and h the highest value of the channel in the training samples where they
    are left out; h - l counts as 1 where both are equal. Ids are left as they are.

    Args:
        low: l, one number or one per channel.
        high: h, one number or one per channel.

    Shapes: (N, *, C) -> (N, *, C).
    Weights: none.
    Errors: channels-mismatch, contradiction.
    Differs: nothing.
    Source: scikit-learn's MinMaxScaler.
    """

    known_as = ("min_max_scaler",)

    low: PerChannel | None = None
    high: PerChannel | None = None

    def infer(self, x: TensorType) -> TensorType:
        if (self.low is None) != (self.high is None):
            raise _both(self.kind, *(("low", "high") if self.high is None else ("high", "low")))
        _check_channels(self.kind, x, low=self.low, high=self.high)
        return x

    def fit(self) -> Fit | None:
        return Moments() if self.low is None else None

    def fitted(self, fit: Fit, numbers: np.ndarray) -> Self:
        assert isinstance(fit, Moments)
        return _with(self, low=_known(fit.low, numbers), high=_known(fit.high, numbers, 1.0))

    def onto(self, before: Preprocessing, channels: int) -> Preprocessing:
        assert self.low is not None and self.high is not None, "fitted first"
        low, high = _wide(self.low, channels), _wide(self.high, channels)
        width = np.where(high == low, 1.0, high - low)
        return before.then(1 / width, -low / width)


@transforms("robust_scale")
class RobustScale(Transform):
    """Subtract the median and divide by the distance of the quartiles, which outliers do not move.

    y = (x - c) / w, with c the median and w the third quartile minus the first (linear interpolation) of the channel in
    the training samples where they are left out; w is 1 where both quartiles are equal. Ids are left as they are. To
    find the quartiles, all training values are kept in memory, 8 bytes each, and copies of one channel's.

    Args:
        center: c, one number or one per channel.
        width: w, above 0, one number or one per channel.

    Shapes: (N, *, C) -> (N, *, C).
    Weights: none.
    Errors: channels-mismatch, contradiction.
    Differs: nothing.
    Source: scikit-learn's RobustScaler.
    """

    known_as = ("robust_scaler",)

    center: PerChannel | None = None
    width: Annotated[float, Gt(0)] | tuple[Annotated[float, Gt(0)], ...] | None = None

    def infer(self, x: TensorType) -> TensorType:
        if (self.center is None) != (self.width is None):
            raise _both(self.kind, *(("center", "width") if self.width is None else ("width", "center")))
        _check_channels(self.kind, x, center=self.center, width=self.width)
        return x

    def fit(self) -> Fit | None:
        return Quantiles() if self.center is None else None

    def fitted(self, fit: Fit, numbers: np.ndarray) -> Self:
        assert isinstance(fit, Quantiles)
        first, middle, third = fit.quantiles((0.25, 0.5, 0.75))
        width = np.where(numbers & (third > first), third - first, 1.0)
        return _with(self, center=_known(middle, numbers), width=_plain(width))

    def onto(self, before: Preprocessing, channels: int) -> Preprocessing:
        assert self.center is not None and self.width is not None, "fitted first"
        center, width = _wide(self.center, channels), _wide(self.width, channels)
        return before.then(1 / width, -center / width)


@transforms("impute")
class Impute(Transform):
    """Fill in numbers that are missing.

    y = x, or f where x is missing (NaN), with f a statistic of the channel in the training samples where it is left
    out; 0 where all of them are missing. All but the mean keep the training values in memory, 8 bytes each,
    and copies of one channel's.

    Args:
        statistic: `mean`, `median` or `most_frequent` (of several the smallest).
        value: f, one number or one per channel, instead of a statistic.

    Shapes: (N, *, C) -> (N, *, C).
    Weights: none.
    Errors: channels-mismatch.
    Differs: nothing.
    Source: scikit-learn's SimpleImputer.
    """

    known_as = ("imputer", "simple_imputer", "fill_na")

    statistic: Literal["mean", "median", "most_frequent"] = "mean"
    value: PerChannel | None = None

    def infer(self, x: TensorType) -> TensorType:
        _check_channels(self.kind, x, value=self.value)
        return x

    def fit(self) -> Fit | None:
        if self.value is not None:
            return None
        return {"mean": Moments, "median": Quantiles, "most_frequent": Modes}[self.statistic]()

    def fitted(self, fit: Fit, numbers: np.ndarray) -> Self:
        if isinstance(fit, Moments):
            found = fit.mean
        elif isinstance(fit, Quantiles):
            (found,) = fit.quantiles((0.5,))
        else:
            assert isinstance(fit, Modes)
            found = fit.modes()
        return _with(self, value=_known(found, numbers))

    def onto(self, before: Preprocessing, channels: int) -> Preprocessing:
        assert self.value is not None, "fitted first"
        return before.filled(_wide(self.value, channels))


T = TypeVar("T", bound=Transform)


def _with(transform: T, **numbers: Any) -> T:
    return dataclasses.replace(transform, **numbers)


def _plain(values: np.ndarray) -> Any:
    return tuple(float(v) for v in values)


def _known(values: np.ndarray, numbers: np.ndarray, otherwise: float = 0.0) -> Any:
    """What was found of channels; ``otherwise`` where they are ids or hold no number."""
    return _plain(np.where(numbers & np.isfinite(values), values, otherwise))


def is_fitted(chain: Sequence[Transform]) -> bool:
    """Whether the recipe says all numbers."""
    return all(transform.fit() is None for transform in chain)


def combined(chain: Sequence[Transform], scale: float, numbers: np.ndarray) -> Preprocessing:
    """Scaling and all transforms as one; every one fitted.

    Args:
        chain: The transforms.
        scale: ``Signature.scale``.
        numbers: Which channels are numbers, bool (C,); the others are ids, which stay as they are.
    """
    found = Preprocessing.begin(scale, len(numbers))
    for transform in chain:
        found = transform.onto(found, len(numbers))
    fill = None if found.fill is None else np.where(numbers, found.fill, 0.0)
    return Preprocessing(np.where(numbers, found.multiplier, 1.0), np.where(numbers, found.offset, 0.0), fill)


def fit_chain(
    chain: Sequence[Transform],
    scale: float,
    numbers: np.ndarray,
    blocks: Callable[[], Iterable[np.ndarray]],
) -> tuple[Transform, ...]:
    """The transforms with their numbers filled in, each from the samples as the ones before it leave them.

    Args:
        chain: The recipe's transforms.
        scale: ``Signature.scale``.
        numbers: Which channels are numbers, bool (C,).
        blocks: The training samples as stored, a part at a time; asked once for each fit.
    """
    found: list[Transform] = []
    before = Preprocessing.begin(scale, len(numbers))
    for transform in chain:
        fit = transform.fit()
        if fit is not None:
            for block in blocks():
                fit.add(before(block).reshape(-1, len(numbers)))
            transform = transform.fitted(fit, numbers)
        before = transform.onto(before, len(numbers))
        found.append(transform)
    return tuple(found)
