"""From a typed recipe to a plan: sizes, and every mistake that needs two sections to see."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from dlrun.data.source import Signature, sources
from dlrun.data.transforms import transforms
from dlrun.errors import DlrunErrors
from dlrun.graph import LayerList, TensorType, layers
from dlrun.losses import losses
from dlrun.metrics.metric import metrics
from dlrun.optimizers import optimizers
from dlrun.plan import Plan
from dlrun.recipe import BackendChoice, Data, EarlyStopping, Recipe, Train
from dlrun.resolve import resolve
from dlrun.schedules import schedules

IMAGES = Signature(
    input=TensorType((8, 8, 1)),
    target=TensorType((), "int"),
    classes=10,
    class_names=None,
    sizes={"train": 1000, "test": 100},
    scale=1 / 255,
)
NUMBERS = Signature(
    input=TensorType((5,)),
    target=TensorType(()),
    classes=None,
    class_names=None,
    sizes={"train": 50},
    stored_dtype="float32",
)


def recipe(**sections: Any) -> Recipe:
    """A small classifier; keyword arguments replace whole sections."""
    usual: dict[str, Any] = {
        "name": "test",
        "data": data(),
        "model": LayerList(layers=(layers.get("flatten")(), layers.get("dense")())),
        "loss": losses.get("softmax_cross_entropy")(),
        "metrics": (metrics.get("accuracy")(),),
        "optimizer": optimizers.get("adam")(),
        "schedule": schedules.get("constant")(),
    }
    return Recipe(**{**usual, **sections})


def data(**fields: Any) -> Data:
    return Data(source=sources.get("digits")(), **fields)


def mistakes(signature: Signature = IMAGES, **sections: Any) -> list[Any]:
    with pytest.raises(DlrunErrors) as caught:
        resolve(recipe(**sections), signature)
    return list(caught.value.errors)


def plan(signature: Signature = IMAGES, **sections: Any) -> Plan:
    return resolve(recipe(**sections), signature)


def test_the_last_layers_width_comes_from_the_data() -> None:
    found = plan()
    assert found.graph.output == TensorType((10,))
    assert found.graph.parameters == 64 * 10 + 10


@pytest.mark.parametrize(
    ("batch", "limit", "validation", "steps"),
    [(100, None, 0, 10), (128, None, 0, 8), (128, 3, 0, 3), (100, None, 50, 10), (100, 99, 0.1, 9)],
)
def test_updates_of_an_epoch(batch: int, limit: int | None, validation: float, steps: int) -> None:
    found = plan(data=data(batch_size=batch, validation=validation), train=Train(epochs=3, limit_batches=limit))
    assert found.steps_per_epoch == steps
    assert found.total_steps == 3 * steps
    assert found.train_samples + found.validation_samples == 1000


def test_preprocessing_is_one_multiplier_and_offset() -> None:
    found = plan(data=data(preprocess=(transforms.get("normalize")(mean=0.5, std=0.25),)))
    multiplier, offset = found.preprocessing.multiplier, found.preprocessing.offset
    np.testing.assert_allclose(np.array([0, 255]) * multiplier + offset, [-2, 2], rtol=1e-15)


def test_initial_weights_have_the_recipes_precision_and_the_graphs_shapes() -> None:
    for precision, dtype in (("float32", "float32"), ("float64", "float64"), ("bfloat16", "float32")):
        weights = plan(precision=precision).initial_weights()
        assert {name: w.shape for name, w in weights.items()} == {"dense_1.kernel": (64, 10), "dense_1.bias": (10,)}
        assert {w.dtype for w in weights.values()} == {np.dtype(dtype)}


FLAT = LayerList(layers=(layers.get("flatten")(), layers.get("dense")(units=9)))
CASES: dict[str, tuple[dict[str, Any], Signature, tuple[str | int, ...], str]] = {
    "empty-data": ({}, dataclasses.replace(IMAGES, sizes={"test": 5}), ("data", "source"), "no samples"),
    "validation-too-large": ({"data": data(validation=1000)}, IMAGES, ("data", "validation"), "leave none of 1000"),
    "batch-too-large": ({"data": data(batch_size=1001)}, IMAGES, ("data", "batch_size"), "`1001`"),
    "micro-batches-too-many": (
        {"data": data(batch_size=4), "train": Train(micro_batches=5)},
        IMAGES,
        ("train", "micro_batches"),
        "`5` parts",
    ),
    "warmup-too-long": (
        {"schedule": schedules.get("one_cycle")(warmup_steps=24), "train": Train(epochs=3)},
        IMAGES,
        ("schedule", "warmup_steps"),
        "`24` updates of warm-up leave none of the run's 24 for schedule `one_cycle`",
    ),
    "output-classes": (
        {"model": FLAT},
        IMAGES,
        ("model", "layers", 1, "dense"),
        "`(N, 9)` but the data has 10 classes",
    ),
    "wrong-task": (
        {"task": "image_classification"},
        dataclasses.replace(IMAGES, input=TensorType((64,))),
        ("task",),
        "",
    ),
    "unknown-monitor": ({"train": Train(monitor="acuracy")}, IMAGES, ("train", "monitor"), "`acuracy`"),
    "channels-mismatch": (
        {"data": data(preprocess=(transforms.get("normalize")(mean=(0.1, 0.2), std=1.0),))},
        IMAGES,
        ("data", "preprocess", 0, "normalize", "mean"),
        "2 entries but samples have 1 channels",
    ),
}


def normalised(*before: str, **fields: Any) -> LayerList:
    names = (*before, "batch_norm", "flatten")
    norm = {"batch_norm": fields}
    return LayerList(layers=(*(layers.get(n)(**norm.get(n, {})) for n in names), layers.get("dense")()))


@pytest.mark.parametrize(
    ("model", "batch", "train", "needed"),
    [
        (normalised("flatten"), 111, {}, 2),
        (normalised("flatten"), 3, {}, 2),
        (normalised("flatten"), 7, {"micro_batches": 4}, 8),
        (normalised("flatten"), 333, {"micro_batches": 2}, 4),
        (normalised("flatten", "relu"), 1, {"limit_batches": 3}, 2),
    ],
)
def test_a_batch_with_nothing_to_average(model: LayerList, batch: int, train: dict[str, Any], needed: int) -> None:
    (error,) = mistakes(model=model, data=data(batch_size=batch), train=Train(**train))
    assert (error.code, error.path, error.exit_code) == ("batch-too-small", ("data", "batch_size"), 2)
    smallest = batch if train.get("limit_batches") else 1000 % batch
    assert f"a batch of `{smallest}`" in error.message and "`batch_norm_1` one value" in error.message
    assert f"at least {needed} samples" in error.message
    assert ("micro_batches" in (error.hint or "")) == ("micro_batches" in train)


@pytest.mark.parametrize(
    ("model", "batch", "train"),
    [
        (normalised("flatten"), 111, {"limit_batches": 9}),
        (normalised("flatten"), 500, {"micro_batches": 250}),
        (normalised("flatten"), 998, {}),
        (normalised("flatten", trainable=False), 111, {"micro_batches": 111}),
        (normalised(), 111, {"micro_batches": 111}),
    ],
)
def test_a_batch_with_two_values_to_average(model: LayerList, batch: int, train: dict[str, Any]) -> None:
    plan(model=model, data=data(batch_size=batch), train=Train(**train))


@pytest.mark.parametrize("code", CASES)
def test_mistake(code: str) -> None:
    sections, signature, path, words = CASES[code]
    (error,) = mistakes(signature, **sections)
    assert (error.code, error.path) == (code, path)
    assert words in error.message


@pytest.mark.parametrize("kind", ["constant", "cosine", "inverse_sqrt", "linear", "one_cycle"])
def test_warm_up_ends_within_the_run_unless_that_is_cut_short(kind: str) -> None:
    schedule = schedules.get(kind)(warmup_steps=8)
    assert [e.code for e in mistakes(schedule=schedule)] == ["warmup-too-long"]
    assert plan(schedule=schedule, train=Train(epochs=2)).total_steps == 16
    assert plan(schedule=schedule, train=Train(limit_batches=8)).total_steps == 8
    plan(schedule=schedules.get(kind)(warmup_steps=7))


@pytest.mark.parametrize(
    ("sections", "path"),
    [
        ({"train": Train(early_stopping=EarlyStopping())}, ("train", "early_stopping")),
        ({"backend": BackendChoice(compile=True, eager=True)}, ("backend", "eager")),
    ],
)
def test_contradiction(sections: dict[str, Any], path: tuple[str, ...]) -> None:
    (error,) = mistakes(**sections)
    assert (error.code, error.path) == ("contradiction", path)


def test_a_classifier_needs_classes() -> None:
    codes = [e.code for e in mistakes(NUMBERS, task="classification", model=FLAT)]
    assert "wrong-task" in codes


def test_regression_reads_numbers() -> None:
    found = plan(
        NUMBERS,
        task="regression",
        data=data(batch_size=10),
        model=LayerList(layers=(layers.get("dense")(units=1),)),
        loss=losses.get("mse")(),
        metrics=(),
    )
    assert found.graph.output == TensorType((1,))


def test_mistakes_of_several_sections_are_told_together() -> None:
    found = mistakes(
        data=data(batch_size=5000, validation=0),
        model=FLAT,
        train=Train(monitor="x", early_stopping=EarlyStopping()),
    )
    assert {e.code for e in found} == {"output-classes", "batch-too-large", "contradiction", "unknown-monitor"}
