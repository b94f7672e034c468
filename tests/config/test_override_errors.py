"""Mistakes on the command line: code, words, and the override each came from."""

from __future__ import annotations

import pytest

CASES = {
    # id: (overrides, code, the override it came from, words)
    "misspelt recipe": (
        ["recipe=digts"],
        "unknown-recipe",
        0,
        ["`digts` is not a recipe", "`digits`?", "dlrun recipes"],
    ),
    "recipe file that is not there": (
        ["recipe=./no/such.yaml"],
        "unknown-recipe",
        0,
        ["no recipe file `./no/such.yaml`"],
    ),
    "misspelt group": (["optimiser=sgd"], "unknown-key", 0, ["`optimiser` is not a key", "`optimizer`?"]),
    "misspelt option": (["optimizer=agd"], "unknown-optimizer", 0, ["`agd` is not an optimizer", "`sgd`"]),
    "option as other tools call it": (["optimizer=momentum"], "unknown-optimizer", 0, ["Did you mean `sgd`? Valid"]),
    "schedule as PyTorch calls it": (["schedule=CosineAnnealingLR"], "unknown-schedule", 0, ["mean `cosine`? Valid"]),
    "misspelt backend": (["backend=troch"], "unknown-backend", 0, ["`troch` is not a backend", "`torch`?"]),
    "misspelt device": (["device=gpu"], "unknown-device", 0, ["`gpu` is not a device", "`cuda`"]),
    "unsupported device": (["device=tpu"], "device-not-supported", 0, ["`tpu` is not supported"]),
    "misspelt schedule": (["schedule=cosine_annealing"], "unknown-schedule", 0, ["`cosine`"]),
    "misspelt tracker": (["tracker=tensorbord"], "unknown-tracker", 0, ["`tensorboard`?"]),
    "misspelt loss": (["loss=mes"], "unknown-loss", 0, ["Did you mean `mse`"]),
    "misspelt source": (["data.source=minst"], "unknown-data-source", 0, ["`mnist`?"]),
    "misspelt key": (["train.epoch=3"], "unknown-key", 0, ["`epoch` is not a key of `train`", "`epochs`?"]),
    "a plus does not make a key": (["+train.epoch=3"], "unknown-key", 0, ["`epochs`?"]),
    "two pluses neither": (["++foo.bar=3"], "unknown-key", 0, ["`foo` is not a key of `recipe`", "`seed`"]),
    "key of a plain value": (["seed.x=3"], "unknown-key", 0, ["`seed` is a plain value", "`x`"]),
    "deleting an unknown key": (["~train.epoch"], "unknown-key", 0, ["`train.epoch` is not a key"]),
    "misspelt key of a layer": (["model.layers.hidden.unit=3"], "unknown-key", 0, ["not a key of `dense`", "`units`?"]),
    "key without its section": (["batch_size=3"], "unknown-key", 0, ["Did you mean `data.batch_size`?"]),
    "key without its section, one of the recipe's own nearby": (
        ["workers=2"],
        "unknown-key",
        0,
        ["Did you mean `data.workers`?"],
    ),
    "initials without its section": (["lr=3"], "unknown-key", 0, ["Did you mean `optimizer.learning_rate`?"]),
    "deleting what is needed": (["~model"], "missing-key", 0, ["`recipe` needs `model`"]),
    "deleting a group": (["~optimizer"], "missing-key", 0, ["`recipe` needs `optimizer`", "`sgd`"]),
    "deleting the recipe": (["~recipe"], "unknown-key", 0, ["`recipe` is not a key"]),
    "wrong type": (["seed=abc"], "wrong-type", 0, ["must be an integer of at least 0", "`abc`"]),
    "not an integer": (["train.epochs=1e1"], "wrong-type", 0, ["Write `10`."]),
    "out of range": (["optimizer.learning_rate=-1"], "out-of-range", 0, ["above 0", "`-1.0`"]),
    "not one of": (["precision=half"], "invalid-choice", 0, ["one of `float32`"]),
    "bad index": (
        ["model.layers.9.units=3"],
        "unknown-layer-reference",
        0,
        ["`9` is not the index", "0 `conv2d_1`", "6 `dense_1`"],
    ),
    "bad name": (
        ["model.layers.hiden.units=3"],
        "unknown-layer-reference",
        0,
        ["`hiden`", "Did you mean `hidden`", "4 `hidden`"],
    ),
    "automatic name of a named layer": (
        ["model.layers.dense_2.units=3"],
        "unknown-layer-reference",
        0,
        ["Did you mean `dense_1`"],
    ),
    "deleting a layer that is not there": (["~model.layers.8"], "unknown-layer-reference", 0, ["`8`"]),
    "layer of another kind": (
        ["model.layers.0.dense.units=3"],
        "wrong-layer",
        0,
        ["`model.layers.0` is a `conv2d`, not a `dense`", "`filters`"],
    ),
    "item of an empty list": (
        ["data.preprocess.0.mean=1"],
        "unknown-transform-reference",
        0,
        ["has no items", "whole"],
    ),
    "index of a list": (["optimizer.betas.2=0.5"], "unknown-item", 0, ["`2` is not an index", "from 0 to 1"]),
    "shapes that no longer fit": (
        ["~model.layers.flatten_1"],
        "wrong-rank",
        None,
        ["`flatten`"],
    ),
    "classes that disagree": (["model.layers.dense_1.units=11"], "output-classes", None, ["10 classes"]),
    "no equals sign": (["train.epochs"], "override-syntax", 0, ["`train.epochs` is not an override", "key=value"]),
    "bracket that is not closed": (["metrics=[accuracy"], "override-syntax", 0, ["A bracket is not closed"]),
    "space before the value": (["seed = 3"], "override-syntax", 0, ["without spaces"]),
    "no key": (["=3"], "override-syntax", 0, ["key=value"]),
    "several values": (["seed=1,2"], "override-syntax", 0, ["several values", "-m", "seed=[a,b]"]),
    "a range": (["seed=range(3)"], "override-syntax", 0, ["several values", "-m"]),
    "setting of a sweep": (["hydra.sweep.dir=x"], "override-syntax", 0, ["-m"]),
    "package": (["optimizer@model=sgd"], "override-syntax", 0, ["names a package"]),
    "environment variable that is not set": (["seed=${oc.env:DLRUN_NOT_SET}"], "interpolation", 0, ["DLRUN_NOT_SET"]),
    "reference to nothing": (["seed=${trian.epochs}"], "interpolation", 0, ["`trian.epochs`", "`train.epochs`"]),
    "one key twice": (["seed=1", "seed=2"], "contradiction", 1, ["`seed=2` and `seed=1` both set `seed`"]),
    "one group twice": (["optimizer=sgd", "optimizer=adam"], "contradiction", 1, ["both choose `optimizer`"]),
    "group and its name": (["optimizer=sgd", "optimizer.name=adam"], "contradiction", 1, ["both choose `optimizer`"]),
    "loss twice": (["loss=softmax_cross_entropy", "loss.name=mse"], "contradiction", 1, ["both set"]),
    "recipe twice": (["recipe=digits", "recipe=mnist"], "contradiction", 1, ["both choose `recipe`"]),
    "section and its key": (["train.epochs=3", "train={epochs: 4}"], "contradiction", 1, ["both set `train`"]),
    "key and its section": (["train={epochs: 4}", "train.epochs=3"], "contradiction", 1, ["both set `train.epochs`"]),
    "layer by index and by name": (
        ["model.layers.4.units=3", "model.layers.hidden.units=4"],
        "contradiction",
        1,
        ["both set `model.layers.hidden.units`"],
    ),
    "deleted and set": (["~train.epochs", "train.epochs=3"], "contradiction", 1, ["both set `train.epochs`"]),
    "set and deleted": (["train.epochs=3", "~train.epochs"], "contradiction", 1, ["both set `train.epochs`"]),
    "deleted layer that is changed": (
        ["~model.layers.5", "model.layers.5.rate=0.1"],
        "contradiction",
        1,
        ["`~model.layers.5`"],
    ),
}


@pytest.mark.parametrize(("overrides", "code", "culprit", "words"), CASES.values(), ids=CASES)
def test_a_mistake_has_code_override_and_words(recipe, mistakes, overrides, code, culprit, words):
    given = overrides if overrides[0].startswith("recipe=") else [recipe(), *overrides]
    (error,) = mistakes(*given)
    assert error.code == code
    if culprit is not None:
        assert error.where.override == overrides[culprit]
        assert f"command line `{overrides[culprit]}`" in str(error)
    for word in words:
        assert word in str(error)


def test_all_malformed_overrides_are_reported_together(mistakes):
    errors = mistakes("seed", "train.epochs=[1", "recipe=digits")
    assert [e.where.override for e in errors] == ["seed", "train.epochs=[1"]


def test_all_unknown_options_are_reported_together(mistakes):
    errors = mistakes("recipe=digts", "backend=troch", "optimizer=agd")
    assert {e.code for e in errors} == {"unknown-recipe", "unknown-backend", "unknown-optimizer"}


def test_a_config_folder_that_is_not_there(mistakes):
    (error,) = mistakes("recipe=digits", config_dir="nowhere")
    assert error.code == "no-config-dir" and "`nowhere`" in str(error) and "--config-dir" in str(error)


def test_the_same_override_twice_is_no_contradiction(recipe):
    from dlrun.config import compose

    assert compose([recipe(), "seed=3", "seed=3", "optimizer=sgd", "optimizer=sgd"]).recipe.seed == 3
