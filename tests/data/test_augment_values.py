"""Colours, tones, blur, noise and what is taken out: by hand, against Pillow, colorsys and SciPy."""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from dlrun.data.augment.blur import GaussianBlur, RandomSharpness
from dlrun.data.augment.color import ColorJitter, RandomGrayscale
from dlrun.data.augment.erase import Cutout, RandomErasing
from dlrun.data.augment.noise import GaussianNoise
from dlrun.data.augment.tone import (
    RandomAutocontrast,
    RandomEqualize,
    RandomInvert,
    RandomPosterize,
    RandomSolarize,
)
from dlrun.data.draws import Draws
from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (6, 17, 19, 3), np.uint8)
GREY = RNG.integers(0, 256, (6, 17, 19, 1), np.uint8)


def draws(samples: int, epoch: int = 0) -> Draws:
    return Draws(0, epoch, np.arange(samples), "a")


def by_pillow(x: np.ndarray, change: Any) -> np.ndarray:
    return np.stack([np.asarray(change(Image.fromarray(i.squeeze()))).reshape(i.shape) for i in x])


# colours


@pytest.mark.parametrize(
    ("field", "enhancer"), [("brightness", "Brightness"), ("contrast", "Contrast"), ("saturation", "Color")]
)
@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.6])
@pytest.mark.parametrize("x", [RGB, GREY], ids=["rgb", "grey"])
def test_each_colour_change_is_pillow_s(field: str, enhancer: str, factor: float, x: np.ndarray) -> None:
    after = ColorJitter(**{field: (factor, factor)}).apply(x, draws(6), 255)
    theirs = by_pillow(x, lambda image: getattr(ImageEnhance, enhancer)(image).enhance(factor))
    assert np.abs(after.astype(int) - theirs).max() <= 2  # Pillow rounds the grey image and the mean to whole numbers
    assert np.abs(after.astype(int) - theirs).mean() < 0.8


@pytest.mark.parametrize("shift", [-0.5, -0.3, 0.1, 0.25])
def test_a_hue_is_turned_as_colorsys_has_it(shift: float) -> None:
    x = RNG.random((2, 6, 6, 3)).astype(np.float32)
    x[0, 0] = x[0, 0, :, :1]  # greys have no hue
    x[1, 1, :, 1] = x[1, 1, :, 0]  # two channels are the largest
    after = ColorJitter(hue=(shift, shift)).apply(x, draws(2), 1.0)

    def turned(rgb: np.ndarray) -> tuple[float, float, float]:
        h, s, v = colorsys.rgb_to_hsv(*map(float, rgb))
        return colorsys.hsv_to_rgb((h + shift) % 1, s, v)

    np.testing.assert_allclose(after, np.apply_along_axis(turned, 3, x), atol=1e-6)


def test_factors_fill_their_range_evenly_for_each_image() -> None:
    x = np.full((4000, 1, 1, 1), 0.5, np.float32)
    factors = ColorJitter(brightness=0.4).apply(x, draws(4000), 1.0).ravel() / 0.5
    assert 0.6 <= factors.min() < 0.61 and 1.39 < factors.max() <= 1.4 + 1e-6
    assert np.abs(np.histogram(factors, 8, (0.6, 1.4))[0] - 500).max() < 4 * np.sqrt(500)
    wide = ColorJitter(brightness=1.5).apply(x, draws(4000), 1.0).ravel() / 0.5
    assert wide.min() < 0.01 and wide.max() == 2.0  # 0 to 2.5, cut off where the value would be above 1
    assert (wide == 0).mean() < 0.01  # no factor is below 0


def test_changes_follow_one_another_in_every_order_equally_often() -> None:
    """Brightness then contrast differs from contrast then brightness, for one image changed often."""
    x = np.repeat(np.linspace(0, 1, 5, dtype=np.float32).reshape(1, 1, 5, 1), 2000, axis=0)
    after = ColorJitter(brightness=(1.8, 1.8), contrast=(0.5, 0.5)).apply(x, draws(2000), 1.0)
    first = np.clip(x[0] * 1.8, 0, 1)
    first = first.mean() + (first - first.mean()) * 0.5
    second = np.clip((0.5 + (x[0] - 0.5) * 0.5) * 1.8, 0, 1)
    counts = [np.isclose(after, one, atol=1e-5).all(axis=(1, 2, 3)).sum() for one in (first, second)]
    assert sum(counts) == 2000 and abs(counts[0] - 1000) < 4 * np.sqrt(500)


def test_grey_images_have_no_colour_to_change() -> None:
    np.testing.assert_array_equal(ColorJitter(saturation=0.5, hue=0.5).apply(GREY, draws(6), 255), GREY)


def test_some_images_lose_their_colours() -> None:
    x = np.repeat(RGB[:1], 2000, axis=0)
    after = RandomGrayscale(probability=0.3).apply(x, draws(2000), 255)
    grey = np.rint(RGB[0] @ np.array([0.299, 0.587, 0.114]))[..., None]
    lost = (np.abs(after - grey) <= 1).all(axis=(1, 2, 3))
    kept = (after == x).all(axis=(1, 2, 3))
    assert (lost ^ kept).all() and abs(lost.mean() - 0.3) < 4 * np.sqrt(0.21 / 2000)


# tones


@pytest.mark.parametrize("x", [RGB, GREY], ids=["rgb", "grey"])
@pytest.mark.parametrize(
    ("augmentation", "change", "tolerance"),
    [
        (RandomInvert(probability=1.0), ImageOps.invert, 0),
        (RandomSolarize(threshold=100 / 255, probability=1.0), lambda i: ImageOps.solarize(i, 100), 0),
        (RandomPosterize(bits=3, probability=1.0), lambda i: ImageOps.posterize(i, 3), 0),
        (RandomEqualize(probability=1.0), ImageOps.equalize, 0),
        (RandomAutocontrast(probability=1.0), ImageOps.autocontrast, 1),  # Pillow rounds down
        (
            RandomSharpness(factor=0.0, probability=1.0),
            lambda i: ImageEnhance.Sharpness(i).enhance(0.0),
            1,
        ),
        (RandomSharpness(factor=1.9, probability=1.0), lambda i: ImageEnhance.Sharpness(i).enhance(1.9), 1),
    ],
    ids=["invert", "solarize", "posterize", "equalize", "autocontrast", "smooth", "sharpen"],
)
def test_each_tone_is_pillow_s(augmentation: Any, change: Any, tolerance: int, x: np.ndarray) -> None:
    x = x // 2 + 20  # so that stretching has something to do
    theirs = by_pillow(x, change)
    assert (theirs != x).any()
    assert np.abs(augmentation.apply(x, draws(6), 255).astype(int) - theirs).max() <= tolerance


def test_tones_know_images_that_end_below_255() -> None:
    x = np.arange(17, dtype=np.uint8).reshape(1, 1, 17, 1)
    row = x.ravel().astype(int)

    def after(augmentation: Any) -> list[int]:
        return augmentation.apply(x, draws(1), 16.0).ravel().tolist()

    assert after(RandomInvert(probability=1.0)) == (16 - row).tolist()
    assert after(RandomSolarize(probability=1.0)) == np.where(row >= 8, 16 - row, row).tolist()
    two = np.rint((np.rint(row * 255 / 16).astype(int) & 0b11000000) * 16 / 255).astype(int).tolist()
    assert after(RandomPosterize(bits=2, probability=1.0)) == two == [0] * 4 + [4] * 4 + [8] * 5 + [12] * 4
    x = x // 2 + 3
    assert after(RandomAutocontrast(probability=1.0)) == np.rint((x.ravel() - 3) * 2).astype(int).tolist()


def test_a_scale_of_few_digits_does_not_make_bytes_too_large() -> None:
    x = np.array([0, 100, 255], np.uint8).reshape(1, 1, 3, 1)
    after = RandomInvert(probability=1.0).apply(x, draws(1), 1 / 0.003922)
    assert after.ravel().tolist() == [255, 155, 0]


def test_a_channel_of_one_value_cannot_be_stretched() -> None:
    x = RGB.copy()
    x[..., 1] = 9
    after = RandomAutocontrast(probability=1.0).apply(x, draws(6), 255)
    assert (after[..., 1] == 9).all() and (after[..., 0].max(axis=(1, 2)) == 255).all()


def test_equalizing_makes_values_equally_frequent() -> None:
    x = (RNG.random((1, 128, 128, 1)) ** 3 * 255).astype(np.uint8)
    after = RandomEqualize(probability=1.0).apply(x, draws(1), 255)
    shares = np.histogram(after, 4, (0, 256))[0] / after.size
    assert np.abs(shares - 0.25).max() < 0.06 < np.abs(np.histogram(x, 4, (0, 256))[0] / x.size - 0.25).max()


# blur


@pytest.mark.parametrize(("kernel", "sigma"), [(3, 0.7), (7, 1.5), (33, 5.0)])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_blur_is_scipy_s(kernel: int, sigma: float, dtype: str) -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    x = RGB.astype(dtype)
    places = np.arange(kernel) - kernel // 2
    weights = np.exp(-(places**2) / (2 * sigma**2))
    weights /= weights.sum()
    wanted = x.astype(np.float64)
    for axis in (1, 2):
        wanted = ndimage.correlate1d(wanted, weights, axis, mode="mirror")
    after = GaussianBlur(kernel=kernel, sigma=sigma).apply(x, draws(6), 255)
    assert np.abs(after - wanted).max() < (0.501 if dtype == "uint8" else 1e-3)


def test_every_image_has_a_width_of_its_own() -> None:
    x = np.zeros((500, 9, 9, 1), np.float32)
    x[:, 4, 4] = 1
    after = GaussianBlur(kernel=9, sigma=(0.5, 2.0)).apply(x, draws(500), 1.0)[:, 4, :, 0]
    sigma = np.sqrt(1 / (2 * np.log(after[:, 4] / after[:, 5])))
    assert 0.5 <= sigma.min() < 0.52 and 1.97 < sigma.max() <= 2.0 + 1e-4
    assert np.abs(np.histogram(sigma, 5, (0.5, 2.0))[0] - 100).max() < 40


@pytest.mark.parametrize(
    ("kernel", "code", "hint"),
    [(4, "even-kernel", "Write `5`"), (1, "even-kernel", "Write `3`"), (15, "kernel-too-large", "at most `13`")],
)
def test_kernels_that_cannot_be_are_refused(kernel: int, code: str, hint: str) -> None:
    with pytest.raises(DlrunError, match=f"`gaussian_blur.kernel` .*`{kernel}`") as caught:
        GaussianBlur(kernel=kernel).infer(TensorType((7, 9, 3)))
    assert (caught.value.code, caught.value.path) == (code, ("kernel",)) and hint in str(caught.value.hint)


# noise


def test_noise_has_the_width_that_is_asked_for() -> None:
    x = np.full((400, 10, 10, 1), 128, np.uint8)
    after = GaussianNoise(std=0.05).apply(x, draws(400), 255).astype(float) - 128
    assert abs(after.mean()) < 0.3 and abs(after.std() - 12.75) < 0.3
    assert np.abs(np.corrcoef(after.reshape(400, -1)[:, :50].T) - np.eye(50)).max() < 0.25
    rows = GaussianNoise(std=(0.0, 2.0)).apply(np.zeros((3000, 64), np.float32), draws(3000), 1.0).std(axis=1)
    assert np.abs(np.histogram(rows, 4, (0, 2))[0] - 750).max() < 140


def test_noise_is_cut_off_in_bytes_alone_and_missing_numbers_stay_missing() -> None:
    assert GaussianNoise(std=3.0).apply(RGB, draws(6), 255).max() == 255
    x = np.array([[0.0, np.nan], [np.nan, 1.0]], np.float32)
    after = GaussianNoise(std=5.0).apply(x, draws(2), 1.0)
    np.testing.assert_array_equal(np.isnan(after), np.isnan(x))
    assert np.abs(after[~np.isnan(x)]).max() > 1 and after.dtype == np.float32


# what is taken out


@pytest.mark.parametrize(("size", "height", "width"), [(4, 4, 4), ((3, 6), 3, 6), (5, 5, 5)])
def test_a_square_s_centre_is_any_pixel(size: Any, height: int, width: int) -> None:
    x = np.ones((6000, 8, 10, 3), np.float32)
    hidden = ~(Cutout(size=size, fill=0.5).apply(x, draws(6000), 4.0) == 1.0).all(axis=3)
    rows, columns = hidden.any(axis=2).sum(axis=1), hidden.any(axis=1).sum(axis=1)
    assert (hidden.sum(axis=(1, 2)) == rows * columns).all()  # one rectangle
    assert rows.max() == height and columns.max() == width
    assert rows.min() == height - height // 2 and columns.min() == width - width // 2  # cut off at the edge
    middle = hidden[:, 4, 5].mean()
    assert abs(middle - height * width / 80) < 4 * np.sqrt(middle * (1 - middle) / 6000)


def test_what_is_hidden_has_the_fill() -> None:
    after = Cutout(size=4, count=3, fill=0.5).apply(RGB, draws(6), 255)
    hidden = (after != RGB).any(axis=3)
    assert (after[hidden] == 128).all() and (hidden.sum(axis=(1, 2)) > 16).any()


def test_hiding_everything_is_refused() -> None:
    with pytest.raises(DlrunError, match="`cutout.size` of 16 by 16 hides all of every image") as caught:
        Cutout().infer(TensorType((8, 8, 1)))
    assert caught.value.code == "wrong-size" and "`4`" in str(caught.value.hint)
    assert Cutout(size=15).infer(TensorType((8, 8, 1))).shape == (8, 8, 1)


def test_an_erased_rectangle_has_its_area_and_shape_and_lies_inside() -> None:
    x = np.zeros((4000, 100, 80, 1), np.uint8)
    erasing = RandomErasing(area=(0.1, 0.3), aspect=(0.5, 2.0), fill=1.0, probability=0.75)
    hidden = erasing.apply(x, draws(4000), 255)[..., 0] == 255
    done = hidden.any(axis=(1, 2))
    assert abs(done.mean() - 0.75) < 4 * np.sqrt(0.75 * 0.25 / 4000)
    rows, columns = hidden.any(axis=2).sum(axis=1)[done], hidden.any(axis=1).sum(axis=1)[done]
    area = rows * columns / 8000
    assert (hidden.sum(axis=(1, 2))[done] == rows * columns).all()
    assert 0.095 < area.min() < 0.105 and 0.29 < area.max() < 0.31 and abs(area.mean() - 0.2) < 0.005
    aspect = np.log(rows / columns)
    assert -0.75 < aspect.min() < -0.65 and 0.65 < aspect.max() < 0.75 and abs(aspect.mean()) < 0.03
    tall = RandomErasing(area=(0.1, 0.1), aspect=(2.0, 3.0), probability=1.0).hidden(x[:50], draws(50))
    assert (tall.any(axis=2).sum(axis=1) > 1.8 * tall.any(axis=1).sum(axis=1)).all()  # height divided by width
    assert abs(hidden[:, 0, 0].mean() - hidden[:, 99, 79].mean()) < 0.02


def test_rectangles_that_never_fit_leave_the_image() -> None:
    x = RGB[:, :4, :4]
    after = RandomErasing(area=(1.0, 1.0), aspect=(3.0, 3.0), probability=1.0).apply(x, draws(6), 255)
    np.testing.assert_array_equal(after, x)


@pytest.mark.parametrize(("dtype", "top"), [("uint8", 16.0), ("float32", 2.0)])
def test_noise_in_place_of_what_is_hidden_is_uniform(dtype: str, top: float) -> None:
    x = np.zeros((200, 16, 16, 3), dtype)
    after = RandomErasing(area=(0.3, 0.3), fill="noise", probability=1.0).apply(x, draws(200), top)
    hidden = RandomErasing(area=(0.3, 0.3), probability=1.0).hidden(x, draws(200))
    values = after[hidden].astype(float)
    assert (after[~hidden] == 0).all() and values.max() <= top and abs(values.mean() - top / 2) < 0.01 * top
    assert np.unique(after[0][hidden[0]]).size > 10
