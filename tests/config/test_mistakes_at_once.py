"""What does not depend on another mistake is told beside it: across sections, list items and the command line."""

from __future__ import annotations

import pytest

from dlrun.errors import DlrunError, dotted

MODEL = "model: {layers: [flatten, {dense: {units: 8, activation: rleu}}, dense]}\n"


def told(found: list[DlrunError]) -> set[tuple[str, str]]:
    pairs = [(error.code, dotted(error.path)) for error in found]
    assert len(set(pairs)) == len(pairs), pairs
    return set(pairs)


ACTIVATION = ("unknown-activation", "model.layers[1].dense.activation")


def test_a_wrong_field_and_the_activation_beside_it_where_the_data_are_not_known(recipe, mistakes):
    lines = (
        "task: classificaton\ndata: {source: digts}\n"
        "model: {layers: [flatten, {dense: {units: -16, activation: rleu, inputs: [gone]}}, dense]}\n"
    )
    assert told(mistakes(recipe(lines))) == {
        ("unknown-task", "task"),
        ("unknown-data-source", "data.source.name"),
        ("out-of-range", "model.layers[1].dense.units"),
        ("unknown-input", "model.layers[1].dense.inputs[0]"),
        ACTIVATION,
    }


def test_an_option_that_is_not_there_hides_neither_data_nor_model(recipe, mistakes):
    lines = "data: {source: digits, augment: [random_choice: {augment: []}]}\n" + MODEL
    found = mistakes(recipe(lines), "optimizer=adm", "backend=troch", "optimizer.learning_rate=1", "train.epoch=2")
    assert told(found) == {
        ("unknown-optimizer", "optimizer"),
        ("unknown-backend", "backend"),
        ("unknown-key", "train.epoch"),
        ("nothing-to-change", "data.augment[0].random_choice.augment"),
        ACTIVATION,
    }


def test_the_name_of_an_option_in_a_recipe_hides_nothing(recipe, mistakes):
    lines = "data: {source: digits}\ntrain: quick\noptimizer: {name: adm}\n" + MODEL
    found = {code for code, _ in told(mistakes(recipe(lines)))}
    assert found == {"unknown-train", "unknown-optimizer", "unknown-activation"}


def test_all_entries_and_items_of_a_wrong_type(recipe, mistakes):
    lines = (
        "task: tabular_classification\n"
        "data:\n  source: {name: table, train: t.csv, target: y, columns: {id: skp, a: {hsh: 10}, b: catgory}}\n"
        "  sampling: [-1, x, 2]\n"
        "model: {layers: [dense]}\n"
        "optimizer: {name: adam, betas: [2, -1]}\n"
    )
    found = mistakes(recipe(lines))
    assert told(found) == {
        ("invalid-choice", "data.source.columns.id"),
        ("unknown-key", "data.source.columns.a.hsh"),
        ("invalid-choice", "data.source.columns.b"),
        ("out-of-range", "data.sampling[0]"),
        ("wrong-type", "data.sampling[1]"),
        ("out-of-range", "optimizer.betas[0]"),
        ("out-of-range", "optimizer.betas[1]"),
    }
    key = next(error for error in found if error.code == "unknown-key")
    assert key.message == "`hsh` is not a key of `a`." and key.hint == "Did you mean `hash`?"


CROP = "data: {source: digits, batch_size: 5000, validation: 2000, augment: [random_crop: {size: 400}, random_flip]}\n"
BESIDE_CROP = {
    ("crop-too-large", "data.augment[0].random_crop.size"),
    ("validation-too-large", "data.validation"),
    ("batch-too-large", "data.batch_size"),
}


def test_a_step_that_does_not_fit_the_samples_hides_nothing(recipe, mistakes):
    lines = (
        "model: {layers: [{conv2d: {filters: 2, kernel: 300, padding: valid}}, flatten, dense]}\n"
        "loss: binary_cross_entropy\ntrain: {monitor: val_acc}\n"
    )
    found = told(mistakes(recipe(CROP + lines)))
    assert found >= {*BESIDE_CROP, ("unknown-monitor", "train.monitor")}
    assert {path for _, path in found} >= {"model.layers[0].conv2d"}


def test_nor_does_a_wrong_field_hide_what_must_hold_between_others(recipe, mistakes):
    lines = (
        "model: {layers: [flatten, dense: {units: 10}]}\n"
        "optimizer: {name: adm}\nloss: binary_cross_entropy\n"
        "train: {monitor: val_acc, epochs: 0}\nbackend: {name: torch, compile: true, eager: true}\n"
    )
    assert told(mistakes(recipe(CROP.replace("random_flip", "random_flp") + lines))) == {
        *BESIDE_CROP,
        ("unknown-augmentation", "data.augment[1]"),
        ("unknown-optimizer", "optimizer.name"),
        ("out-of-range", "train.epochs"),
        ("unknown-monitor", "train.monitor"),
        ("contradiction", "backend.eager"),
        ("output-shape", "loss"),
    }


@pytest.mark.parametrize("field", ["batch_size: 0", "validation: much", "batchsize: 9000"])
def test_what_would_follow_from_a_wrong_field_is_not_told(recipe, mistakes, field):
    lines = f"data: {{source: digits, {field}}}\nmodel: {{layers: [flatten, dense]}}\n"
    lines += "train: {early_stopping: {patience: 2}, micro_batches: 500}\n" if "batchsize" not in field else ""
    found = told(mistakes(recipe(lines)))
    beside = {("contradiction", "train.early_stopping")} if field == "batch_size: 0" else set()
    beside |= {("micro-batches-too-many", "train.micro_batches")} if field == "validation: much" else set()
    assert len(found - beside) == 1 and beside <= found
