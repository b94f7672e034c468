"""Cropping, mirroring, turning: by hand, against plain loops and against SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlrun.data.augment.affine import RandomAffine, RandomRotate, matrices, warped
from dlrun.data.augment.crop import RandomCrop, RandomResizedCrop
from dlrun.data.augment.flip import RandomFlip
from dlrun.data.draws import Draws
from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType

RNG = np.random.default_rng(0)


def draws(samples: int, epoch: int = 0) -> Draws:
    return Draws(0, epoch, np.arange(samples), "a")


def numbered(samples: int, height: int, width: int, channels: int = 1) -> np.ndarray:
    """Images whose pixels are all different, as float32."""
    size = samples * height * width * channels
    return np.arange(size, dtype=np.float32).reshape(samples, height, width, channels)


# mirroring


@pytest.mark.parametrize(("axis", "outcomes"), [("horizontal", 2), ("vertical", 2), ("both", 4)])
def test_images_are_mirrored_or_not_equally_often(axis: Any, outcomes: int) -> None:
    x = np.repeat(numbered(1, 3, 4, 3), 4000, axis=0)
    after = RandomFlip(axis=axis).apply(x, draws(4000), 255)
    one = x[0]
    possible = {"horizontal": [one, one[:, ::-1]], "vertical": [one, one[::-1]]}
    possible["both"] = [one, one[:, ::-1], one[::-1], one[::-1, ::-1]]
    counts = [int((after == p).all(axis=(1, 2, 3)).sum()) for p in possible[axis]]
    assert len(counts) == outcomes and sum(counts) == 4000
    assert all(abs(c - 4000 / outcomes) < 4 * np.sqrt(1000) for c in counts)


# crops of a fixed size


@pytest.mark.parametrize(("dtype", "top", "fill", "value"), [("uint8", 255, 0.5, 128), ("float32", 2.0, 0.25, 0.5)])
@pytest.mark.parametrize("padding", [2, (0, 3), (1, 0)])
@pytest.mark.parametrize("size", [None, 4, (5, 3)])
def test_a_crop_is_a_part_of_the_padded_image(
    dtype: str, top: float, fill: float, value: float, padding: Any, size: Any
) -> None:
    x = (RNG.integers(1, 100, (200, 6, 7, 2)) / (1 if dtype == "uint8" else 100)).astype(dtype)
    crop = RandomCrop(padding=padding, fill=fill, size=size)
    after = crop.apply(x, draws(200), top)
    rows, columns = padding if isinstance(padding, tuple) else (padding, padding)
    height, width = (6, 7) if size is None else (size, size) if isinstance(size, int) else size
    assert after.shape == (200, height, width, 2) and after.dtype == dtype
    assert crop.infer(TensorType((6, 7, 2))) == TensorType((height, width, 2))
    padded = np.pad(x, ((0, 0), (rows, rows), (columns, columns), (0, 0)), constant_values=value)
    places = [(t, left) for t in range(7 + 2 * rows - height) for left in range(8 + 2 * columns - width)]
    seen: set[tuple[int, int]] = set()
    for whole, part in zip(padded, after, strict=True):
        found = [(t, k) for t, k in places if np.array_equal(whole[t : t + height, k : k + width], part)]
        assert found
        seen.update(found)
    assert len(seen) > 0.8 * len(places)


def test_places_of_a_crop_are_equally_likely() -> None:
    x = np.repeat(numbered(1, 5, 5), 9000, axis=0)
    corner = RandomCrop(size=3).apply(x, draws(9000), 1)[:, 0, 0, 0].astype(int)
    counts = np.bincount(corner, minlength=25)
    reachable = [0, 1, 2, 5, 6, 7, 10, 11, 12]
    assert counts.sum() == counts[reachable].sum()
    assert (((counts[reachable] - 1000) ** 2) / 1000).sum() < 26  # chi-square with 8 degrees: p = 0.001


def test_a_part_is_cut_out_of_a_view_as_out_of_a_copy() -> None:
    x = numbered(9, 6, 14, 2)[:, :, ::2]
    crop = RandomCrop(size=4)
    np.testing.assert_array_equal(crop.apply(x, draws(9), 1), crop.apply(x.copy(), draws(9), 1))


def test_a_mirrored_margin_does_not_repeat_the_outermost_pixels() -> None:
    x = numbered(60, 3, 4)
    after = RandomCrop(padding=(0, 2), fill="reflect").apply(x, draws(60), 1)
    for whole, part in zip(x[..., 0], after[..., 0], strict=True):
        wide = whole[:, [2, 1, 0, 1, 2, 3, 2, 1]]
        assert any(np.array_equal(wide[:, k : k + 4], part) for k in range(5))


def test_evaluation_sees_the_middle() -> None:
    x = numbered(2, 6, 7)
    np.testing.assert_array_equal(RandomCrop(size=(3, 4), padding=9).evaluate(x), x[:, 1:4, 1:5])


@pytest.mark.parametrize(
    ("fields", "code", "said"),
    [
        ({"size": (7, 3)}, "crop-too-large", "`random_crop.size` is 7 by 3, but samples have 6 by 8 pixels"),
        ({"size": (3, 9), "padding": 4}, "crop-too-large", "3 by 9"),
        ({}, "nothing-to-crop", "leaves every sample as it is"),
        ({"size": (6, 8)}, "nothing-to-crop", "leaves every sample as it is"),
        ({"padding": (6, 0), "fill": "reflect"}, "padding-too-large", "`random_crop.padding` of `6` reaches beyond"),
    ],
)
def test_crops_that_cannot_be_are_refused(fields: dict[str, Any], code: str, said: str) -> None:
    with pytest.raises(DlrunError, match=said) as caught:
        RandomCrop(**fields).infer(TensorType((6, 8, 3)))
    assert caught.value.code == code
    assert caught.value.path or caught.value.hint


# crops of a random size


def test_the_whole_image_resized_to_itself_is_itself() -> None:
    x = RNG.integers(0, 256, (5, 8, 8, 3), np.uint8)
    crop = RandomResizedCrop(area=(1.0, 1.0), aspect=(1.0, 1.0))
    np.testing.assert_array_equal(crop.apply(x, draws(5), 255), x)
    np.testing.assert_array_equal(crop.evaluate(x), x)


def test_parts_have_the_areas_and_shapes_that_are_asked_for() -> None:
    crop = RandomResizedCrop(area=(0.2, 0.6), aspect=(0.5, 2.0))
    left, upper, right, lower = crop.boxes(draws(20_000), 300, 400).T
    assert left.min() >= 0 and upper.min() >= 0 and right.max() <= 400 and lower.max() <= 300
    area = (right - left) * (lower - upper) / (300 * 400)
    assert 0.195 < area.min() < 0.21 and 0.55 < area.max() < 0.61
    aspect = np.log((right - left) / (lower - upper))
    assert abs(aspect.min() + np.log(2)) < 0.03 and abs(aspect.max() - np.log(2)) < 0.03
    fits = area < 0.3  # all shapes fit: both are as uniform as they were drawn
    assert abs(np.histogram(area[fits], 10, (0.2, 0.3))[0] / fits.sum() - 0.1).max() < 0.02
    assert abs(np.histogram(aspect[fits], 10, (-np.log(2), np.log(2)))[0] / fits.sum() - 0.1).max() < 0.02
    share = left / np.maximum(400 - (right - left), 1)
    assert abs(share.mean() - 0.5) < 0.01
    left, upper, right, lower = RandomResizedCrop(area=(0.1, 0.3), aspect=(1.5, 2.0)).boxes(draws(500), 300, 400).T
    assert ((right - left) > 1.4 * (lower - upper)).all()  # width divided by height


@pytest.mark.parametrize(
    ("height", "width", "box"), [(10, 40, (10, 0, 30, 10)), (40, 10, (0, 15, 10, 25)), (12, 12, (0, 0, 12, 12))]
)
def test_where_no_part_fits_it_is_the_largest_in_the_middle(height: int, width: int, box: tuple[int, ...]) -> None:
    crop = RandomResizedCrop(area=(1.0, 1.0), aspect=(1.0, 2.0))
    boxes = crop.boxes(draws(50), height, width)
    assert (boxes == box).all(axis=1).any()
    if height != width:
        assert (boxes == box).all()


def test_a_part_is_resized_as_by_averaging_where_pixels_get_fewer() -> None:
    x = RNG.normal(size=(1, 8, 8, 2)).astype(np.float32)
    constant = np.full((3, 9, 7, 3), 77, np.uint8)
    crop = RandomResizedCrop(size=(4, 5))
    assert (crop.apply(constant, draws(3), 255) == 77).all() and crop.apply(constant, draws(3), 255).shape[1:3] == (
        4,
        5,
    )
    ramp = np.broadcast_to(np.arange(8, dtype=np.float32)[:, None], (1, 8, 8))[..., None]
    small = RandomResizedCrop(size=4).evaluate(ramp)
    np.testing.assert_allclose(small[0, 1:3, :, 0], [[2.5] * 4, [4.5] * 4], atol=1e-6)
    assert RandomResizedCrop(size=4).evaluate(x).dtype == np.float32


def test_evaluation_keeps_the_shape_of_what_is_seen() -> None:
    ramp = np.broadcast_to(np.arange(12, dtype=np.float32), (1, 4, 12))[..., None]
    seen = RandomResizedCrop(size=4).evaluate(ramp)
    np.testing.assert_allclose(seen[0, :, :, 0], np.tile([4.0, 5.0, 6.0, 7.0], (4, 1)), atol=1e-6)
    assert RandomResizedCrop(size=(5, 9)).infer(TensorType((4, 12, 1))) == TensorType((5, 9, 1))


# turning, shifting, scaling, shearing


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_quarter_turn_is_counterclockwise(interpolation: Any, dtype: str, turns: int) -> None:
    x = RNG.integers(0, 256, (3, 7, 7, 3)).astype(dtype)
    rotate = RandomRotate(degrees=(90.0 * turns, 90.0 * turns), interpolation=interpolation)
    after = rotate.apply(x, draws(3), 255)
    np.testing.assert_allclose(after, np.rot90(x, turns, (1, 2)), atol=1e-3)


def test_corners_get_the_fill_and_every_image_an_angle_of_its_own() -> None:
    x = np.zeros((50, 9, 9, 3), np.uint8)
    after = RandomRotate(degrees=(30.0, 60.0), fill=0.2).apply(x, draws(50), 255)
    assert (after[:, 0, 0] == 51).all() and (after[:, 4, 4] == 0).all()
    ramp = np.repeat(np.linspace(0, 1, 81, dtype=np.float32).reshape(1, 9, 9, 1), 50, axis=0)
    assert len({a.tobytes() for a in RandomRotate(degrees=20).apply(ramp, draws(50), 1.0)}) == 50


def test_matrices_are_the_formula() -> None:
    made = matrices(np.array([30.0]), np.array([2.0]), np.array([[45.0, 0.0]]))[0]
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    np.testing.assert_allclose(made, 2 * np.array([[c, s], [-s, c]]) @ [[1, 1], [0, 1]])
    upright = matrices(np.zeros(1), np.ones(1), np.array([[0.0, 45.0]]))[0]
    np.testing.assert_allclose(upright, [[1, 0], [1, 1]], atol=1e-12)


def test_a_map_is_that_of_scipy() -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    x = ndimage.gaussian_filter(RNG.normal(size=(1, 21, 25, 1)), (0, 2, 2, 0)).astype(np.float32)
    maps = matrices(np.array([25.0]), np.array([1.3]), np.array([[10.0, -5.0]]))
    shift = np.array([[2.5, -1.25]])
    ours = warped(x, maps, shift, "bilinear", 0.0, np.arange(1))[0, :, :, 0]
    swapped = np.linalg.inv(maps[0])[::-1, ::-1]  # SciPy counts rows first, and pixels by their centres
    center = np.array([10.0, 12.0])
    offset = center - swapped @ (center + shift[0, ::-1])
    theirs = ndimage.affine_transform(x[0, :, :, 0].astype(np.float64), swapped, offset, order=1)
    np.testing.assert_allclose(ours[3:-3, 3:-3], theirs[3:-3, 3:-3], atol=2e-5)


def test_a_shift_by_whole_pixels_moves_right_and_down() -> None:
    x = numbered(1, 4, 5)
    after = warped(x, np.eye(2)[None], np.array([[2.0, 1.0]]), "nearest", -1.0, np.arange(1))
    np.testing.assert_array_equal(after[0, 1:, 2:, 0], x[0, :-1, :-2, 0])
    assert (after[0, 0] == -1).all() and (after[0, :, :2] == -1).all()


def test_ranges_of_an_affine_change_are_those_asked_for() -> None:
    """The centre of mass of one bright square tells the shift, its area the scale."""
    x = np.zeros((300, 41, 61, 1), np.float32)
    x[:, 15:26, 25:36] = 1
    y_axis, x_axis = np.mgrid[:41, :61]
    moved = RandomAffine(translate=(0.2, 0.1)).apply(x, draws(300), 1.0)[..., 0]
    mass = moved.sum(axis=(1, 2))
    down = (moved * y_axis).sum(axis=(1, 2)) / mass - 20
    right = (moved * x_axis).sum(axis=(1, 2)) / mass - 30
    assert 7.5 < np.abs(down).max() <= 8.2 + 1e-3 and 5.5 < np.abs(right).max() <= 6.1 + 1e-3
    assert abs(down.mean()) < 1 and abs(np.corrcoef(down, right)[0, 1]) < 0.2
    area = RandomAffine(scale=(0.5, 1.5)).apply(x, draws(300), 1.0).sum(axis=(1, 2, 3)) / 121
    assert 0.2 < area.min() < 0.35 and 2.0 < area.max() < 2.3


@pytest.mark.parametrize("shear", [20.0, (20.0, 0.0), (0.0, 20.0)])
def test_a_horizontal_shear_moves_along_rows_and_a_vertical_one_along_columns(shear: Any) -> None:
    rows, columns = np.mgrid[:41, :41].astype(np.float32)
    same, other = (columns, rows) if shear == (0.0, 20.0) else (rows, columns)
    middle = (slice(None), slice(10, 31), slice(10, 31), 0)
    affine = RandomAffine(shear=shear)
    after = affine.apply(np.repeat(same[None, :, :, None], 99, axis=0), draws(99), 1.0)
    np.testing.assert_allclose(after[middle], np.broadcast_to(same[10:31, 10:31], (99, 21, 21)), atol=1e-4)
    moved = affine.apply(np.repeat(other[None, :, :, None], 99, axis=0), draws(99), 1.0)[middle] - other[10:31, 10:31]
    farthest = moved[:, 0, 10] if same is rows else moved[:, 10, 0]
    assert 3.4 < np.abs(farthest).max() <= 10 * np.tan(np.deg2rad(20)) + 1e-3 and abs(farthest.mean()) < 0.8


def test_some_images_are_left_alone() -> None:
    x = RNG.integers(0, 256, (400, 5, 5, 1), np.uint8)
    after = RandomAffine(degrees=(80.0, 100.0), probability=0.25).apply(x, draws(400), 255)
    share = (after != x).any(axis=(1, 2, 3)).mean()
    assert 0.17 < share < 0.33
