"""What holds of every augmentation: it is pure, keeps dtype, range and what it is given, and refuses clearly."""

from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlrun.data.augmentation import Augmentation, Mixing, augmentations
from dlrun.data.draws import Draws
from dlrun.data.source import Column, Signature
from dlrun.errors import DlrunError
from dlrun.graph.tensor import TensorType

FIELDS: dict[str, dict[str, Any]] = {
    "auto_augment": {},
    "color_jitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1},
    "cutmix": {},
    "cutout": {"size": 5, "fill": 0.5},
    "gaussian_blur": {},
    "gaussian_noise": {"std": 0.1},
    "mixup": {},
    "rand_augment": {},
    "random_apply": {"augment": (augmentations.get("gaussian_blur")(), augmentations.get("cutout")(size=5))},
    "random_affine": {"degrees": 20, "translate": 0.1, "scale": (0.8, 1.2), "shear": (10, 5)},
    "random_autocontrast": {},
    "random_choice": {"augment": (augmentations.get("gaussian_blur")(), augmentations.get("cutout")(size=5))},
    "random_crop": {"padding": 2},
    "random_equalize": {},
    "random_erasing": {"fill": "noise"},
    "random_flip": {},
    "random_grayscale": {"probability": 0.5},
    "random_invert": {},
    "random_posterize": {"bits": 3},
    "random_resized_crop": {},
    "random_rotate": {"degrees": 30},
    "random_sharpness": {"factor": (0.0, 3.0)},
    "random_solarize": {},
    "trivial_augment": {},
}
RGB_ONLY = {"random_grayscale"}
BYTES_ONLY = {"auto_augment", "rand_augment", "trivial_augment", "random_posterize", "random_equalize"}
GROUPS = {"random_apply", "random_choice"}
STAY = {
    *GROUPS,
    "color_jitter",
    "cutout",
    "gaussian_blur",
    "gaussian_noise",
    "random_autocontrast",
    "random_equalize",
    "random_erasing",
    "random_grayscale",
    "random_invert",
    "random_posterize",
    "random_sharpness",
    "random_solarize",
}
"""Those that leave what is seen where it is."""
TOPS = {"uint8": 255.0, "sixteen": 16.0, "float32": 1.0}
ROWS = np.array([5, 0, 77, 3, 1_000_000, 12, 8, 9])


def made(kind: str) -> Augmentation:
    return augmentations.get(kind)(**FIELDS[kind])


def images(stored: str, channels: int, height: int = 20, width: int = 18) -> np.ndarray:
    """Smooth images with noise, so that no two pixels need be alike."""
    rng = np.random.default_rng(channels)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / (2 + c) + i) * np.cos(y / 3 + c * i) for i in range(len(ROWS)) for c in range(channels)]
    unit = np.stack(waves).reshape(len(ROWS), channels, height, width).transpose(0, 2, 3, 1) * 0.4 + 0.5
    unit = np.clip(unit + rng.normal(0, 0.05, unit.shape), 0, 1)
    scaled = unit * TOPS[stored]
    return scaled.astype(np.float32) if stored == "float32" else np.rint(scaled).astype(np.uint8)


def changed(augmentation: Augmentation, x: np.ndarray, rows: np.ndarray = ROWS, top: float = 255.0, **keys: int) -> Any:
    """What training sees of some samples; of mixing ones the samples and their labels."""
    draws = Draws(keys.get("seed", 0), keys.get("epoch", 0), rows, "0")
    if isinstance(augmentation, Mixing):
        shares = np.eye(len(ROWS), dtype=np.float32)[: len(rows)]
        return augmentation.mix(x.astype(np.float32), shares, draws)[0]
    return augmentation.apply(x, draws, top)


def cases(mixing: bool = True) -> list[Any]:
    return [
        pytest.param(kind, stored, channels, id=f"{kind}-{stored}-{channels}")
        for kind in FIELDS
        for stored in TOPS
        for channels in (1, 3)
        if not (kind in RGB_ONLY and channels == 1) and not (kind in BYTES_ONLY and stored == "float32")
        if mixing or not issubclass(augmentations.get(kind), Mixing)
    ]


def test_every_augmentation_is_tested_here() -> None:
    assert sorted(FIELDS) == augmentations.names()


@pytest.mark.parametrize(("kind", "stored", "channels"), cases(mixing=False))
def test_a_sample_is_changed_the_same_alone_in_any_batch_and_in_any_order(
    kind: str, stored: str, channels: int
) -> None:
    augmentation, x, top = made(kind), images(stored, channels), TOPS[stored]
    whole = changed(augmentation, x, top=top)
    order = np.array([3, 7, 1, 0, 2, 6, 5, 4])
    np.testing.assert_array_equal(changed(augmentation, x[order], ROWS[order], top), whole[order])
    for i in range(len(x)):
        np.testing.assert_array_equal(changed(augmentation, x[i : i + 1], ROWS[i : i + 1], top), whole[i : i + 1])


@pytest.mark.parametrize(("kind", "stored", "channels"), cases())
def test_type_range_and_the_given_array_are_kept(kind: str, stored: str, channels: int) -> None:
    augmentation, x, top = made(kind), images(stored, channels), TOPS[stored]
    before = x.copy()
    x.setflags(write=False)
    after = changed(augmentation, x, top=top)
    np.testing.assert_array_equal(x, before)
    assert not np.shares_memory(x, after)
    assert after.dtype == (np.float32 if isinstance(augmentation, Mixing) else x.dtype)
    assert after.shape[1:] == augmentation.infer(TensorType(x.shape[1:])).shape
    unbounded = kind == "gaussian_noise" and stored == "float32"
    assert unbounded or (after.min() >= 0 and after.max() <= top)
    assert (after != x).any(), "nothing was changed"


@pytest.mark.parametrize("kind", FIELDS)
def test_epochs_and_seeds_change_samples_otherwise(kind: str) -> None:
    x = images("uint8", 3)
    first = changed(made(kind), x)
    for keys in ({"epoch": 1}, {"seed": 1}):
        assert (changed(made(kind), x, **keys) != first).any()


@pytest.mark.parametrize("kind", FIELDS)
def test_samples_of_the_same_content_are_changed_otherwise(kind: str) -> None:
    x = np.repeat(images("uint8", 3)[2:3], len(ROWS), axis=0)
    if kind == "mixup" or kind == "cutmix":
        x[::2] = images("uint8", 3)[1]
    after = changed(made(kind), x)
    assert len({sample.tobytes() for sample in after}) > 1


@pytest.mark.parametrize("kind", FIELDS)
def test_a_batch_may_be_empty_or_a_view(kind: str) -> None:
    x = images("uint8", 3)
    assert changed(made(kind), x[:0], ROWS[:0]).shape[0] == 0
    view = np.repeat(x, 2, axis=2)[:, :, ::2]
    assert not view.flags.c_contiguous
    np.testing.assert_array_equal(changed(made(kind), view), changed(made(kind), x))


@pytest.mark.parametrize("kind", FIELDS)
def test_large_batches_are_changed_in_parts_alike(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x = images("uint8", 3)
    whole = changed(made(kind), x)
    monkeypatch.setattr("dlrun.data.augment.values._BLOCK", 3 * x[0].size)
    np.testing.assert_array_equal(changed(made(kind), x), whole)


@pytest.mark.parametrize("kind", FIELDS)
def test_evaluation_is_the_sample_itself_where_its_shape_is_kept(kind: str) -> None:
    x = images("uint8", 3)
    assert made(kind).infer(TensorType(x.shape[1:])).shape == x.shape[1:]
    np.testing.assert_array_equal(made(kind).evaluate(x), x)


@pytest.mark.parametrize("kind", sorted(k for k in FIELDS if "probability" in dir(augmentations.get(k)) and k))
def test_a_probability_of_0_changes_nothing(kind: str) -> None:
    augmentation = dataclasses.replace(made(kind), probability=0.0)
    x = images("uint8", 3)
    np.testing.assert_array_equal(changed(augmentation, x), x)


@pytest.mark.parametrize("kind", FIELDS)
def test_samples_that_do_not_fit_are_refused(kind: str) -> None:
    for type_, code in ((TensorType((7,)), "wrong-rank"), (TensorType((12, 10, 3), "int"), "wrong-dtype")):
        if kind in ("gaussian_noise", "mixup") and type_.dtype == "float":
            assert made(kind).infer(type_) == type_  # they know samples of any shape
            continue
        named = "gaussian_blur" if kind in GROUPS else kind  # the first of those in it
        with pytest.raises(DlrunError, match=f"`{named}`") as caught:
            made(kind).infer(type_)
        assert caught.value.code == code


@pytest.mark.parametrize("kind", sorted(RGB_ONLY | BYTES_ONLY - {"random_posterize", "random_equalize"}))
def test_channels_that_do_not_fit_are_refused(kind: str) -> None:
    with pytest.raises(DlrunError, match=rf"`{kind}` needs images of .*3 channels, got \(N, 12, 10, 4\)") as caught:
        made(kind).infer(TensorType((12, 10, 4)))
    assert caught.value.code == "channels-mismatch"


def signature(**fields: Any) -> Signature:
    fields = {"input": TensorType((12, 10, 3)), "target": TensorType((), "int"), **fields}
    return Signature(classes=4, class_names=None, sizes={"train": 8}, **fields)


@pytest.mark.parametrize("kind", FIELDS)
def test_floating_point_samples_are_refused_where_bytes_are_needed(kind: str) -> None:
    made(kind).check(signature())
    if kind not in BYTES_ONLY:
        made(kind).check(signature(stored_dtype="float32"))
        return
    with pytest.raises(DlrunError, match=f"`{kind}` needs 8-bit images, but samples are stored as `float32`") as caught:
        made(kind).check(signature(stored_dtype="float32"))
    assert caught.value.code == "needs-bytes" and "uint8" in str(caught.value.hint)


@pytest.mark.parametrize("kind", sorted(k for k in FIELDS if not issubclass(augmentations.get(k), Mixing)))
def test_labels_of_places_are_not_left_behind(kind: str) -> None:
    by_place = signature(target=TensorType((12, 10), "int"))
    if kind in STAY:
        made(kind).check(by_place)
        return
    with pytest.raises(DlrunError, match=f"`{kind}` moves what is seen, but not the labels of places") as caught:
        made(kind).check(by_place)
    assert caught.value.code == "labels-stay" and "color_jitter" in str(caught.value.hint)


@pytest.mark.parametrize("kind", ["gaussian_noise", "mixup"])
def test_categories_are_not_calculated_with(kind: str) -> None:
    columns = (Column("age"), Column("town", ("Ulm", "Bern")), Column("job", ("a",)))
    table = signature(input=TensorType((3,)), stored_dtype="float32", columns=columns)
    with pytest.raises(DlrunError, match=r"`town` holds categories \(2 such columns\)") as caught:
        made(kind).check(table)
    assert caught.value.code == "wrong-column" and caught.value.hint
    made(kind).check(dataclasses.replace(table, columns=columns[:1]))


UNIT_ONLY = ["color_jitter", "random_autocontrast", "random_grayscale", "random_invert", "random_sharpness"]


@pytest.mark.parametrize("kind", [*UNIT_ONLY, "random_solarize"])
@pytest.mark.parametrize(("value", "said"), [(-0.5, "-0.5"), (1.75, "1.75"), (float("nan"), "nan")])
def test_values_outside_of_the_unit_range_are_refused(kind: str, value: float, said: str) -> None:
    x = images("float32", 3)
    x[3, 2, 1, 0] = value
    augmentation = dataclasses.replace(made(kind), probability=1.0)
    with pytest.raises(DlrunError, match=f"`{kind}` .* from 0 to 1, but a sample has `{said}`") as caught:
        changed(augmentation, x, top=1.0)
    assert caught.value.code == "outside-unit-range" and "preprocess" in str(caught.value.hint)


@pytest.mark.parametrize("kind", ["trivial_augment", "random_posterize"])
def test_bytes_above_the_top_are_refused(kind: str) -> None:
    x = images("sixteen", 1)
    x[0, 0, 0] = 17
    augmentation = made(kind)
    if kind == "random_posterize":
        augmentation = dataclasses.replace(augmentation, probability=1.0)
    with pytest.raises(DlrunError, match="from 0 to 16, but a sample has `17`"):
        changed(augmentation, x, top=16.0)


@pytest.mark.parametrize("kind", sorted(set(FIELDS) - BYTES_ONLY - {*UNIT_ONLY, "random_solarize"}))
def test_the_others_take_numbers_of_any_size(kind: str) -> None:
    x = images("float32", 3) * 20 - 10
    after = changed(made(kind), x, top=1.0)
    assert (after != x).any() and after.min() < -5


@pytest.mark.parametrize(
    ("kind", "fields", "path"),
    [
        ("color_jitter", {"brightness": (1.2, 0.8)}, ("brightness",)),
        ("color_jitter", {"hue": (0.2, -0.2)}, ("hue",)),
        ("gaussian_blur", {"sigma": (2.0, 1.0)}, ("sigma",)),
        ("gaussian_noise", {"std": (2.0, 1.0)}, ("std",)),
        ("random_affine", {"scale": (1.2, 0.8)}, ("scale",)),
        ("random_erasing", {"area": (0.5, 0.1)}, ("area",)),
        ("random_resized_crop", {"aspect": (2.0, 0.5)}, ("aspect",)),
        ("random_rotate", {"degrees": (10.0, -10.0)}, ("degrees",)),
        ("random_sharpness", {"factor": (2.0, 1.0)}, ("factor",)),
    ],
)
def test_ranges_begin_with_the_smaller_number(kind: str, fields: dict[str, Any], path: tuple[str, ...]) -> None:
    with pytest.raises(DlrunError, match=f"`{kind}.{path[0]}` goes from .*; the smaller number comes first") as caught:
        augmentations.get(kind)(**fields).infer(TensorType((12, 10, 3)))
    assert caught.value.code == "range-order" and caught.value.path == path and "Write `[" in str(caught.value.hint)


@pytest.mark.parametrize("kind", ["color_jitter", "random_affine", "gaussian_noise"])
def test_fields_that_change_nothing_are_refused(kind: str) -> None:
    fields = {"std": 0.0} if kind == "gaussian_noise" else {}
    with pytest.raises(DlrunError, match=f"`{kind}` leaves every sample as it is") as caught:
        augmentations.get(kind)(**fields).infer(TensorType((12, 10, 3)))
    assert caught.value.code == "nothing-to-change" and f"dlrun layers {kind}" in str(caught.value.hint)


def test_descriptions_reach_another_process() -> None:
    for kind in FIELDS:
        assert pickle.loads(pickle.dumps(made(kind))) == made(kind)


def test_another_process_draws_the_same(tmp_path: Path) -> None:
    x = images("uint8", 3)
    np.save(tmp_path / "x.npy", x)
    code = (
        "import numpy as np; from dlrun.data.augmentation import augmentations; from dlrun.data.draws import Draws;"
        "x = np.load('x.npy'); a = augmentations.get('rand_augment')();"
        f"np.save('y.npy', a.apply(x, Draws(0, 0, np.array({ROWS.tolist()}), '0'), 255.0))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), changed(made("rand_augment"), x))


def test_describing_loads_neither_pillow_nor_a_framework() -> None:
    code = (
        "import sys; from dlrun.data.augmentation import augmentations; augmentations.names();"
        "sys.exit(str([m for m in ('PIL', 'scipy', 'torch', 'tensorflow') if m in sys.modules]) if "
        "any(m in sys.modules for m in ('PIL', 'scipy', 'torch', 'tensorflow')) else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("kind", FIELDS)
def test_each_says_what_it_is(kind: str) -> None:
    doc = augmentations.get(kind).__doc__ or ""
    for heading in ("Args:", "Shapes:", "Errors:", "Differs:", "Source:"):
        assert heading in doc, heading
    for field in dataclasses.fields(augmentations.get(kind)):
        assert f"        {field.name}: " in doc, field.name
