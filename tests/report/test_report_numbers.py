"""What is counted of numbers: scikit-learn's figures, and distributions that do not depend on the batches."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import numpy as np
import pytest

from dlrun.data.source import Signature
from dlrun.graph.tensor import TensorType
from dlrun.report.numbers import Numbers
from dlrun.report.spread import BINS, POINTS, Histogram, Points
from dlrun.report.worst import Shown

RNG = np.random.default_rng(0)


def shown() -> Shown:
    x = np.zeros((1000, 4), np.float32)
    signature = Signature(TensorType((4,)), TensorType(()), None, None, {"test": 1000}, 1.0, "float32")
    return Shown(signature, lambda at: x[at], lambda at: (at, None))


def counted(output: np.ndarray, target: np.ndarray, parts: int = 1) -> Numbers:
    found = Numbers(target.size // len(target))
    for at in np.array_split(np.arange(len(target)), parts):
        found.add(at, output[at], target[at])
    return found


@pytest.mark.parametrize("shape", [(), (1,), (3,), (7,), (4, 5)])
@pytest.mark.parametrize("parts", [1, 11])
def test_figures_are_those_of_scikit_learn(shape: tuple[int, ...], parts: int) -> None:
    from sklearn import metrics as reference

    target = (RNG.normal(size=(200, *shape)) * 3 + 1).astype(np.float32)
    output = (target + RNG.normal(size=target.shape)).astype(np.float32)
    output = output if shape else output[:, None]
    y, x = target.reshape(200, -1).astype(np.float64), output.reshape(200, -1).astype(np.float64)
    found = counted(output, target, parts)
    summary = found.summary()
    assert summary["mae"] == pytest.approx(reference.mean_absolute_error(y, x), rel=1e-12)
    assert summary["rmse"] == pytest.approx(reference.mean_squared_error(y, x) ** 0.5, rel=1e-12)
    assert summary["r2"] == pytest.approx(reference.r2_score(y, x), rel=1e-12)
    assert summary["mean_residual"] == pytest.approx((x - y).mean(), rel=1e-9)
    each = [row["r2"] for row in found.per_output()]
    assert each == pytest.approx(reference.r2_score(y, x, multioutput="raw_values").tolist(), rel=1e-11)
    rms = np.sqrt(((x - y) ** 2).mean(1))
    assert found.largest.positions.tolist() == np.argsort(-rms, kind="stable")[:24].tolist()
    json.dumps(found.document(shown()), allow_nan=False)
    pictures = found.pictures()
    assert len(pictures) == 2 * (y.shape[1] if y.shape[1] <= 4 else 1)
    for svg in pictures.values():
        ElementTree.fromstring(svg.decode())
    assert sum(b["count"] for h in found.document(shown())["residuals"] for b in h) == y.size


@pytest.mark.parametrize("scale", [1e-300, 1e-3, 1.0, 1e30, 1e290])
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_a_histogram_counts_every_value_whatever_the_batches(scale: float, shift: float) -> None:
    values = (RNG.normal(size=3000) + shift) * scale
    found = []
    for order in (values, values[::-1], np.sort(values)):
        for parts in (1, 17, 3000):
            histogram = Histogram()
            for part in np.array_split(order, parts):
                histogram.add(part)
            found.append(histogram.bins())
    assert all(bins == found[0] for bins in found)
    assert len(found[0]) <= BINS
    if shift == 0 or scale == 1.0:
        assert len(found[0]) > BINS // 4  # no coarser than need be
    for low, high, count in found[0]:
        assert np.count_nonzero((values >= low) & (values < high)) == count
    assert sum(count for _, _, count in found[0]) == 3000


@pytest.mark.parametrize("values", [[], [0.0], [0.0, 0.0], [5.0], [-1.0, 1.0], [1e300, -1e300], [np.nan, np.inf]])
def test_histograms_of_little(values: list[float]) -> None:
    histogram = Histogram()
    histogram.add(np.array(values, np.float64))
    histogram.add(np.array([]))
    bins = histogram.bins()
    finite = [v for v in values if np.isfinite(v)]
    assert sum(count for _, _, count in bins) == len(finite)
    assert all(any(low <= v < high for low, high, _ in bins) for v in finite)


def test_points_are_evenly_spaced_and_bounded() -> None:
    x = np.arange(50_000.0)
    for parts in (1, 7, 999):
        points = Points()
        for at in np.array_split(np.arange(50_000), parts):
            points.add(at, x[at], -x[at])
        assert points.every == 16 and len(points.pairs) == 3125 <= POINTS
        assert (points.pairs[:, 0] == np.arange(0, 50_000, 16)).all()
        assert (points.pairs[:, 1] == -points.pairs[:, 0]).all()


@pytest.mark.parametrize("outputs", [5, 6, 8, 30, 4096])
def test_points_of_many_outputs_are_of_all_of_them(outputs: int) -> None:
    """Each is recognised by its values."""
    samples = 60_000 // outputs
    target = np.broadcast_to(np.arange(outputs, dtype=float), (samples, outputs))
    (points,) = counted(target, target, parts=7)._points
    shown = np.bincount(points.pairs[:, 0].astype(int), minlength=outputs)
    assert POINTS // 11 < len(points.pairs) <= POINTS
    assert shown.max() - shown.min() <= 1


def test_what_is_no_number_is_neither_drawn_nor_the_largest_error() -> None:
    target = RNG.normal(size=(30, 1))
    output = target + 1
    output[3] = np.nan
    found = counted(output, target)
    assert 3 not in found.largest.positions
    for svg in found.pictures().values():
        assert "nan" not in svg.decode()
    document = found.document(shown())
    assert sum(b["count"] for b in document["residuals"][0]) == 29


def test_equal_targets_and_a_single_sample() -> None:
    for size in (1, 5):
        found = counted(np.full((size, 1), 2.0), np.full(size, 2.0))
        assert found.summary() == {"mae": 0.0, "rmse": 0.0, "r2": 1.0, "mean_residual": 0.0}
        for svg in found.pictures().values():
            ElementTree.fromstring(svg.decode())


def test_targets_of_one_value_explain_nothing_whatever_the_batches() -> None:
    found = counted(np.full((70, 2), 0.2), np.full((70, 2), 0.1), parts=7)
    assert found.summary()["r2"] == 0.0 and [row["r2"] for row in found.per_output()] == [0.0, 0.0]


def test_many_outputs_are_summed_up() -> None:
    target = RNG.normal(size=(9, 60))
    found = counted(target + 1, target)
    assert found.add(np.arange(1), target[:1], target[:1]) == []
    text = "".join(found.parts(found.pictures(), shown()))
    assert "Each output." not in text and "…" in text
    assert "outputs" not in found.document(shown())
