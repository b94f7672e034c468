"""Augmentations as a recipe has them: checked, trained with on both backends, absent in evaluation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlrun.cli import app
from dlrun.config import compose
from dlrun.data.augmentation import augmentations
from dlrun.data.feed import Feed
from dlrun.errors import DlrunError, DlrunErrors
from dlrun.run.evaluate import evaluate
from dlrun.run.predict import predict
from dlrun.run.train import train

RECIPE = """
task: image_classification
data:
  source: digits
  batch_size: 64
  validation: 0.1
  augment:
    - random_crop: {padding: 1}
    - random_flip: {axis: vertical, probability: 0.1}
    - mixup: {alpha: 0.2}
model:
  layers:
    - conv2d: {filters: 12, kernel: 3, padding: same, activation: relu}
    - flatten
    - dense
loss: softmax_cross_entropy
metrics: [accuracy]
optimizer: {name: adam, learning_rate: 0.01}
train: {epochs: 5}
device: {threads: 1}
tracker: none
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("augmented.yaml").write_text(RECIPE)
    return tmp_path


def written(augment: str, **other: str) -> list[str]:
    """The words that compose the recipe with another list of augmentations."""
    return ["recipe=./augmented.yaml", f"data.augment={augment}", *(f"{k}={v}" for k, v in other.items())]


def feed(augment: str, *words: str) -> Feed:
    return Feed(compose([*written(augment), *words]).plan)


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_a_run_learns_from_augmented_samples_and_is_evaluated_on_plain_ones(backend: str) -> None:
    run = train(compose(["recipe=./augmented.yaml", f"backend={backend}"]))
    assert run.metrics["test_accuracy"] > 0.8
    assert evaluate(run.directory).metrics["accuracy"] == pytest.approx(run.metrics["test_accuracy"])


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_a_run_with_another_size_predicts_from_the_middle(folder: Path, backend: str) -> None:
    plain = feed("[]")
    images, labels = plain.stored("train", 600), plain.y[:600]
    np.savez("train.npz", x=np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0))) * 15, y=labels)
    source = "data.source={name: npz, train: train.npz}"
    run = train(compose([*written("[{random_crop: {size: 8}}]"), source, f"backend={backend}", "train.epochs=4"]))
    np.save("one.npy", np.pad(images[0], ((1, 1), (1, 1), (0, 0))) * 15)
    assert predict(run.directory, [Path("one.npy")])[0].answer.said["label"] == str(labels[0])
    np.save("small.npy", images[0] * 15)
    with pytest.raises(DlrunError, match="10, 10"):
        predict(run.directory, [Path("small.npy")])


@pytest.mark.parametrize(
    ("augment", "code", "place", "said"),
    [
        ("random_flipp", "unknown-augmentation", "data.augment[0]", "`random_flip`"),
        ("random_crop: {padding: -1}", "out-of-range", "data.augment[0].random_crop.padding", "of at least 0"),
        ("random_crop: {padding: 1, fil: 0}", "unknown-key", "data.augment[0].random_crop.fil", "`fill`"),
        ("random_crop: {padding: 8, fill: reflect}", "padding-too-large", "random_crop.padding", "`8`"),
        ("random_crop: {size: [9, 8]}", "crop-too-large", "random_crop.size", "9 by 8"),
        ("random_flip: {axis: sideways}", "invalid-choice", "random_flip.axis", "`horizontal`"),
        ("color_jitter: {hue: 0.7}", "out-of-range", "color_jitter.hue", "of at most 0.5"),
        ("color_jitter: {contrast: [1.5, 0.5]}", "range-order", "color_jitter.contrast", "[0.5, 1.5]"),
        ("random_grayscale", "channels-mismatch", "data.augment[0].random_grayscale", "3 channels"),
        ("rand_augment: {magnitude: 31}", "out-of-range", "rand_augment.magnitude", "of at most 30"),
        ("auto_augment: {policy: mnist}", "invalid-choice", "auto_augment.policy", "`svhn`"),
        ("cutout", "wrong-size", "data.augment[0].cutout.size", "16 by 16"),
        ("gaussian_blur: {kernel: 4}", "even-kernel", "gaussian_blur.kernel", "`5`"),
        ("mixup: {alpha: 0}", "out-of-range", "mixup.alpha", "above 0"),
    ],
)
def test_check_says_what_is_wrong_and_where(
    capsys: pytest.CaptureFixture[str], augment: str, code: str, place: str, said: str
) -> None:
    line = 1 + RECIPE.splitlines().index("    - random_crop: {padding: 1}")
    Path("wrong.yaml").write_text(RECIPE.replace("random_crop: {padding: 1}", augment))
    assert app.run(["check", "recipe=./wrong.yaml"]) == 2
    error = capsys.readouterr().err
    assert code in error and place in error and said in error and f"wrong.yaml:{line}:" in error


def test_check_accepts_every_form(capsys: pytest.CaptureFixture[str]) -> None:
    every = (
        "[{random_resized_crop: {size: [6, 7]}}, random_flip, {random_affine: {degrees: [-5, 5], translate: 0.1}},"
        "{random_rotate: {degrees: 5}}, {color_jitter: {brightness: [0.5, 1.5]}}, gaussian_blur, random_invert,"
        "{random_posterize: {bits: 4}}, trivial_augment, rand_augment, auto_augment, {cutout: {size: 2}},"
        "random_erasing, {gaussian_noise: {std: 0.02}}, mixup, cutmix]"
    )
    assert app.run(["check", *written(every)]) == 0
    assert "(N, 6, 7, 12)" in capsys.readouterr().out


def test_floating_point_samples_and_labels_of_places_are_refused_with_their_line(folder: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez("float.npz", x=rng.random((30, 8, 8, 1)), y=rng.integers(0, 3, 30))
    source = {"data.source": "{name: npz, train: float.npz}", "data.batch_size": "10"}
    with pytest.raises(DlrunErrors) as caught:
        compose(written("[random_flip, rand_augment]", **source)).plan  # noqa: B018
    (error,) = caught.value.errors
    assert error.code == "needs-bytes" and error.path[:4] == ("data", "augment", 1, "rand_augment")
    np.savez("places.npz", x=rng.integers(0, 9, (30, 8, 8, 1), np.uint8), y=rng.integers(0, 3, (30, 8, 8)))
    words = ["task=classification", "data.source={name: npz, train: places.npz, classes: 3}", "data.batch_size=10"]
    words += ["model.layers=[{conv2d: {filters: 3, kernel: 3, padding: same}}]"]
    with pytest.raises(DlrunErrors) as caught:
        compose([*written("[random_invert, random_flip]"), *words]).plan  # noqa: B018
    assert [(e.code, e.path[2]) for e in caught.value.errors] == [("labels-stay", 1)]
    compose([*written("[random_invert]"), *words]).plan  # noqa: B018


@pytest.mark.parametrize(
    "augment", ["[{random_crop: {padding: 2}}, random_flip, rand_augment]", "[{gaussian_noise: {std: 0.1}}]"]
)
def test_batches_of_any_size_hold_the_same_samples(augment: str) -> None:
    def samples(size: int) -> dict[int, Any]:
        one = feed(augment, f"data.batch_size={size}")
        x = np.concatenate([x for x, _ in one.batches(3)])
        return dict(zip(one.order(3).tolist(), x, strict=True))

    small, large = samples(10), samples(400)
    assert small.keys() == large.keys()
    assert all(np.array_equal(small[i], large[i]) for i in small)


def test_a_run_taken_up_in_the_middle_of_an_epoch_reads_what_it_would_have_read() -> None:
    one = feed("[{random_crop: {padding: 2}}, mixup]")
    whole = list(one.batches(1))
    again = list(feed("[{random_crop: {padding: 2}}, mixup]").batches(1, first_batch=5, count=2))
    for (x, y), (x_again, y_again) in zip(whole[5:7], again, strict=True):
        np.testing.assert_array_equal(x, x_again)
        np.testing.assert_array_equal(y, y_again)
    assert y.shape == (64, 10)


def test_each_place_of_the_list_draws_its_own_numbers() -> None:
    """Two mirrorings of the same kind do not undo one another."""
    twice = next(iter(feed("[random_flip, random_flip]").batches(0)))[0]
    never = next(iter(feed("[{random_flip: {probability: 0}}]").batches(0)))[0]
    share = (twice != never).any(axis=(1, 2, 3)).mean()
    assert 0.25 < share < 0.75


def test_validation_and_test_are_not_augmented() -> None:
    plain, augmented = feed("[]"), feed("[{random_crop: {padding: 2}}, rand_augment, cutmix]")
    for part in ("validation", "test"):
        for (x, y), (x_plain, y_plain) in zip(augmented.eval_batches(part), plain.eval_batches(part), strict=True):
            np.testing.assert_array_equal(x, x_plain)
            np.testing.assert_array_equal(y, y_plain)


def test_the_command_line_explains_an_augmentation(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["layers", "random_crop"]) == 0
    said = capsys.readouterr().out
    assert "random_crop: augmentation." in said and "`reflect` for the image mirrored" in said
    assert "crop-too-large" in said and "torchvision" in said


def test_the_guide_names_every_augmentation_and_its_example_is_accepted(folder: Path) -> None:
    from PIL import Image

    guide = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text("utf-8")
    guide = guide[guide.index("\n## Augmentation\n") :].split("\n## ")[1]
    table = "".join(line for line in guide.splitlines() if line.startswith("| "))
    named = set(re.findall("`([a-z0-9_]+)`", table)) - {"cifar10", "imagenet", "svhn", "augment"}
    assert named == set(augmentations.names())
    for name in ("cats", "dogs"):
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(4):
            Image.new("RGB", (70, 60), (40 * i, 9, 200)).save(folder / "photos" / name / f"{i}.png")
    example = guide[guide.index("```yaml\n") + 8 : guide.index("```\n\n|")]
    rest = "model: {layers: [flatten, dense]}\nloss: softmax_cross_entropy\n"
    (folder / "guide.yaml").write_text(f"{example}{rest}")
    feed = Feed(compose(["recipe=./guide.yaml", "data.batch_size=4"]).plan)
    feed = Feed(feed.fit())
    x, y = next(iter(feed.batches(0)))
    assert x.shape == (4, 64, 64, 3) and y.shape == (4, 2)


def test_bytes_never_end_above_255_whatever_their_scale(folder: Path) -> None:
    x = np.full((40, 4, 4, 1), 200, np.uint8)
    np.savez("bytes.npz", x=x, y=np.arange(40) % 2)
    source = {"data.source": "{name: npz, train: bytes.npz, scale: 0.001}", "data.batch_size": "20"}
    plan = compose(written("[{color_jitter: {brightness: [1.5, 1.5]}}, {cutout: {size: 2, fill: 1}}]", **source)).plan
    assert plan.signature.top == 255
    (seen, _), *_ = Feed(plan).batches(0)
    assert set(np.round(seen.ravel() * 1000)) == {255.0}


def test_an_augmentation_of_one_s_own_is_the_guide_s(folder: Path) -> None:
    guide = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text("utf-8")
    code = guide[guide.index("```python\nfrom dlrun.data.augmentation") + 10 :].split("```")[0]
    (folder / "mine.py").write_text(f'"""Mine."""\n{code}')
    (folder / "own.yaml").write_text(f"{RECIPE}extensions: [mine.py]\n")
    one = Feed(compose(["recipe=./own.yaml", "data.augment=[{salt: {share: 0.3}}]"]).plan)
    plain = dict(zip(one.order(0).tolist(), np.concatenate([x for x, _ in feed("[]").batches(0)]), strict=True))
    seen = dict(zip(one.order(0).tolist(), np.concatenate([x for x, _ in one.batches(0)]), strict=True))
    changed = np.mean([(seen[i] != plain[i]).mean() for i in seen])
    assert 0.2 < changed < 0.3 and max(x.max() for x in seen.values()) == 1.0
