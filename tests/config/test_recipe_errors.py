"""Mistakes in a recipe file: code, words and place of each."""

from __future__ import annotations

import pytest

DATA = "data: {source: digits}\n"
MODEL = "model:\n  layers:\n    - flatten\n    - dense\n"

CASES = {
    # id: (recipe, code, place in small.yaml, path, words)
    "misspelt section": (DATA + MODEL + "optimiser: adam\n", "unknown-key", "6:1", "optimiser", ["`optimizer`?"]),
    "misspelt key": (
        "data:\n  source: digits\n  batch_sise: 4\n" + MODEL,
        "unknown-key",
        "3:3",
        "data.batch_sise",
        ["`batch_sise` is not a key of `data`", "Did you mean `batch_size`?", "`validation`"],
    ),
    "misspelt key of a layer": (
        DATA + "model:\n  layers:\n    - flatten\n    - dense: {unit: 5}\n",
        "unknown-key",
        "5:15",
        "model.layers[1].dense.unit",
        ["`unit` is not a key of `dense`", "`units`?"],
    ),
    "initials of a key": (
        DATA + MODEL + "optimizer: {name: sgd, lr: 0.1}\n",
        "unknown-key",
        "6:24",
        "optimizer.lr",
        ["Did you mean `learning_rate`?"],
    ),
    "key of another choice": (
        DATA + MODEL + "optimizer: {name: sgd, betas: [0.9, 0.99]}\n",
        "unknown-key",
        "6:24",
        "optimizer.betas",
        ["not a key of `sgd`", "`momentum`"],
    ),
    "key of a source": (
        "data: {source: {name: digits, path: x}}\n" + MODEL,
        "unknown-key",
        "1:31",
        "data.source.path",
        ["not a key of `digits`"],
    ),
    "misspelt layer": (
        DATA + "model:\n  layers:\n    - flaten\n    - dense\n",
        "unknown-layer",
        "4:7",
        "model.layers[0]",
        ["`flaten` is not a layer", "`flatten`?", "dlrun layers"],
    ),
    "layer nested in a layer": (
        DATA + "model:\n  layers:\n    - residual:\n        layers:\n          - relo\n    - flatten\n    - dense\n",
        "unknown-layer",
        "6:13",
        "model.layers[0].residual.layers[0]",
        ["`relo`", "`relu`"],
    ),
    "misspelt loss": (
        DATA + MODEL + "loss: softmax\n",
        "unknown-loss",
        "6:1",
        "loss.name",
        ["`softmax` is not a loss"],
    ),
    "misspelt source": (
        "data: {source: digit}\n" + MODEL,
        "unknown-data-source",
        "1:8",
        "data.source.name",
        ["`digits`?"],
    ),
    "misspelt optimizer": (
        DATA + MODEL + "optimizer: {name: adm}\n",
        "unknown-optimizer",
        "6:13",
        "optimizer.name",
        ["`adm` is not an optimizer", "`adam`"],
    ),
    "misspelt schedule": (
        DATA + MODEL + "schedule: cosin\n",
        "unknown-schedule",
        "6:1",
        "schedule.name",
        ["`cosine`?"],
    ),
    "misspelt metric": (DATA + MODEL + "metrics: [acuracy]\n", "unknown-metric", "6:11", "metrics[0]", ["`accuracy`?"]),
    "misspelt transform": (
        "data: {source: digits, preprocess: [normalise]}\n" + MODEL,
        "unknown-transform",
        "1:37",
        "data.preprocess[0]",
        ["`normalize`"],
    ),
    "misspelt task": (DATA + MODEL + "task: clasification\n", "unknown-task", "6:1", "task", ["`classification`"]),
    "unknown backend": (DATA + MODEL + "backend: pytorch\n", "unknown-backend", "6:1", "backend.name", ["`torch`"]),
    "unknown device": (DATA + MODEL + "device: gpu\n", "invalid-choice", "6:1", "device.name", ["`cuda`", "`gpu`"]),
    "device that is not supported": (
        DATA + MODEL + "device: tpu\n",
        "device-not-supported",
        "6:1",
        "device.name",
        ["`tpu` is not supported", "`cuda`"],
    ),
    "unknown option of train": (DATA + MODEL + "train: smok\n", "unknown-train", "6:1", None, ["`smoke`"]),
    "not one of": (
        DATA + MODEL + "precision: float31\n",
        "invalid-choice",
        "6:1",
        "precision",
        ["`float31`", "`bfloat16`", "Did you mean `float32`"],
    ),
    "number where an integer belongs": (
        "data: {source: digits, batch_size: 100.0}\n" + MODEL,
        "wrong-type",
        "1:24",
        "data.batch_size",
        ["must be an integer above 0", "`100.0`", "Write `100`."],
    ),
    "exponent where an integer belongs": (
        DATA + MODEL + "train: {epochs: 1e2}\n",
        "wrong-type",
        "6:9",
        "train.epochs",
        ["Write `100`."],
    ),
    "text where a number belongs": (
        DATA + MODEL + "optimizer: {learning_rate: fast}\n",
        "wrong-type",
        "6:13",
        "optimizer.learning_rate",
        ["must be a number above 0", "`fast`"],
    ),
    "true where a number belongs": (DATA + MODEL + "seed: true\n", "wrong-type", "6:1", "seed", ["`true`"]),
    "number where text belongs": (DATA + MODEL + "name: 3\n", "wrong-type", "6:1", "name", ['Write `"3"`']),
    "number where a truth value belongs": (
        "data: {source: digits, shuffle: 1}\n" + MODEL,
        "wrong-type",
        "1:24",
        "data.shuffle",
        ["true or false"],
    ),
    "below the range": (
        DATA + MODEL + "train: {epochs: 0}\n",
        "out-of-range",
        "6:9",
        "train.epochs",
        ["an integer above 0", "`0`"],
    ),
    "above the range": (
        DATA + "model:\n  layers: [flatten, {dropout: {rate: 1.0}}, dense]\n",
        "out-of-range",
        "3:32",
        "model.layers[1].dropout.rate",
        ["of at least 0 and below 1"],
    ),
    "share above one": (
        "data: {source: digits, validation: 1.5}\n" + MODEL,
        "out-of-range",
        "1:24",
        "data.validation",
        ["an integer of at least 0 or a number of at least 0 and below 1", "`1.5`"],
    ),
    "not finite": (DATA + MODEL + "optimizer: {learning_rate: .inf}\n", "out-of-range", "6:13", None, ["finite"]),
    "item out of range": (
        DATA + MODEL + "optimizer: {name: adam, betas: [0.9, 1.5]}\n",
        "out-of-range",
        "6:38",
        "optimizer.betas[1]",
        ["an item of `betas`", "`1.5`"],
    ),
    "list of the wrong length": (
        DATA + MODEL + "optimizer: {name: adam, betas: [0.9]}\n",
        "wrong-type",
        "6:25",
        "optimizer.betas",
        ["a list of 2 numbers", "`[0.9]`"],
    ),
    "one value where a list belongs": (
        DATA + MODEL + "metrics: accuracy\n",
        "wrong-type",
        "6:1",
        "metrics",
        ["`metrics: [accuracy]`"],
    ),
    "value where a mapping belongs": (
        DATA + MODEL + "train: 3\n",
        "wrong-type",
        "6:1",
        "train",
        ["must be a mapping", "`epochs`"],
    ),
    "value where a choice belongs": (
        DATA + MODEL + "loss: [mse]\n",
        "wrong-type",
        "6:1",
        "loss",
        ["a mapping with `name`"],
    ),
    "layer with a bare value": (
        DATA + "model:\n  layers: [flatten, {dropout: 0.5}, dense]\n",
        "wrong-type",
        "3:22",
        "model.layers[1].dropout",
        ["named fields", "Write `dropout: {rate: 0.5}`."],
    ),
    "layer that is a number": (
        DATA + "model:\n  layers: [3]\n",
        "wrong-type",
        "3:12",
        "model.layers[0]",
        ["`3`", "`- name`"],
    ),
    "fields beside the layer": (
        DATA + "model:\n  layers:\n    - dense:\n      units: 4\n",
        "wrong-type",
        "4:7",
        "model.layers[0]",
        ["`units` stand beside `dense`", "Indent"],
    ),
    "two layers in one item": (
        DATA + "model:\n  layers:\n    - {flatten: {}, dense: {}}\n",
        "wrong-type",
        "4:7",
        "model.layers[0]",
        ["one key", "Start each with its own `- `."],
    ),
    "no model": (DATA, "missing-key", "1:1", "model", ["needs `model`"]),
    "no data": (MODEL, "missing-key", "1:1", "data", ["needs `data`"]),
    "no source": ("data: {batch_size: 3}\n" + MODEL, "missing-key", "1:1", "data.source", ["`digits`"]),
    "empty file": ("", "missing-key", "1:1", "data", ["needs `data`"]),
    "no layers": (DATA + "model: {}\n", "missing-key", "2:1", "model.layers", ["needs `layers`"]),
    "missing field of a layer": (
        DATA + "model:\n  layers: [flatten, dropout, dense]\n",
        "missing-key",
        "3:21",
        "model.layers[1].dropout.rate",
        ["`dropout` needs `rate`", "a number of at least 0 and below 1"],
    ),
    "missing field of a choice": (
        DATA + MODEL + "schedule: step\n",
        "missing-key",
        "6:1",
        "schedule.every_epochs",
        ["`step` needs `every_epochs`"],
    ),
    "choice without its name": (
        "data: {source: {name: null}}\n" + MODEL,
        "missing-key",
        "1:8",
        "data.source",
        ["needs `name`", "`digits`"],
    ),
    "rule between fields": (
        DATA + MODEL + "optimizer: {name: sgd, nesterov: true}\n",
        "nesterov-without-momentum",
        "6:24",
        "optimizer.nesterov",
        ["needs `momentum` above 0"],
    ),
    "empty model": (DATA + "model: {layers: []}\n", "empty-model", "2:9", "model.layers", ["at least one layer"]),
    "shapes that do not fit": (
        DATA + "model:\n  layers:\n    - conv2d: {filters: 2, kernel: 3}\n    - dense\n",
        "wrong-rank",
        "5:7",
        "model.layers[1].dense",
        ["got (N, 6, 6, 2)", "`flatten`"],
    ),
    "window larger than the input": (
        DATA + "model:\n  layers:\n    - conv2d: {filters: 2, kernel: 9}\n    - flatten\n    - dense\n",
        "window-too-large",
        "4:7",
        "model.layers[0].conv2d",
        ["spans 9 cells", "8"],
    ),
    "branches that do not fit": (
        DATA + "model:\n  layers:\n    - flatten\n    - residual: {layers: [{dense: {units: 5}}]}\n    - dense\n",
        "shape-mismatch",
        "5:7",
        None,
        ["(N, 5)", "(N, 64)"],
    ),
    "input that is not there": (
        DATA + "model:\n  layers:\n    - {flatten: {inputs: [inptu]}}\n    - dense\n",
        "unknown-input",
        "4:27",
        "model.layers[0].flatten.inputs[0]",
        ["`inptu` names no earlier layer", "`input`?"],
    ),
    "unknown activation": (
        DATA + "model:\n  layers: [flatten, {dense: {units: 3, activation: rellu}}, dense]\n",
        "unknown-activation",
        "3:40",
        "model.layers[1].dense.activation",
        ["`relu`"],
    ),
    "unknown initializer": (
        DATA + "model:\n  layers: [flatten, {dense: {units: 3, kernel_initializer: glorot}}, dense]\n",
        "unknown-initializer",
        "3:40",
        "model.layers[1].dense.kernel_initializer",
        ["glorot"],
    ),
    "class count that disagrees": (
        DATA + "model:\n  layers:\n    - flatten\n    - dense: {units: 7}\n",
        "output-classes",
        "2:1",
        "model",
        ["(N, 7)", "10 classes", "${data.classes}"],
    ),
    "batch larger than the data": (
        "data: {source: digits, batch_size: 5000}\n" + MODEL,
        "batch-too-large",
        "1:24",
        "data.batch_size",
        ["`5000`", "training samples"],
    ),
    "validation larger than the data": (
        "data: {source: digits, validation: 5000}\n" + MODEL,
        "validation-too-large",
        "1:24",
        "data.validation",
        ["`5000`", "0.1"],
    ),
    "transform that does not fit": (
        "data: {source: digits, preprocess: [{normalize: {mean: [0.1, 0.2], std: 1}}]}\n" + MODEL,
        "channels-mismatch",
        "1:50",
        "data.preprocess[0].normalize.mean",
        ["2 entries", "1 channels"],
    ),
    "contradictory settings": (
        DATA + MODEL + "backend: {name: torch, compile: true, eager: true}\n",
        "contradiction",
        "6:39",
        "backend.eager",
        ["exclude each other"],
    ),
    "early stopping without validation": (
        DATA + MODEL + "train: {early_stopping: {patience: 2}}\n",
        "contradiction",
        "6:9",
        "train.early_stopping",
        ["needs validation samples"],
    ),
    "unknown monitor": (
        DATA + MODEL + "train: {monitor: f1}\n",
        "unknown-monitor",
        "6:9",
        "train.monitor",
        ["`accuracy`"],
    ),
    "reference to nothing": (
        DATA + "model:\n  layers:\n    - flatten\n    - dense: {units: '${data.clases}'}\n",
        "interpolation",
        "5:15",
        "model.layers[1].dense.units",
        ["`${data.clases}`", "does not exist", "Did you mean `data.classes`"],
    ),
    "reference to itself": (DATA + MODEL + "seed: ${seed}\n", "interpolation", "6:1", "seed", ["refers to itself"]),
    "references in a circle": (
        DATA + MODEL + "seed: ${train.epochs}\ntrain: {epochs: '${seed}'}\n",
        "interpolation",
        "7:9",
        "train.epochs",
        ["refers to itself"],
    ),
    "environment variable that is not set": (
        DATA + MODEL + "seed: ${oc.env:DLRUN_NOT_SET}\n",
        "interpolation",
        "6:1",
        "seed",
        ["environment variable `DLRUN_NOT_SET` is not set", "default"],
    ),
    "reference that is not closed": (
        DATA + MODEL + "name: 'a ${data'\n",
        "interpolation",
        "6:1",
        "name",
        ["well-formed"],
    ),
    "resolver that does not exist": (
        DATA + MODEL + "seed: ${random:3}\n",
        "interpolation",
        "6:1",
        "seed",
        ["resolver"],
    ),
    "reference to a value of the wrong type": (
        DATA + MODEL + "seed: ${precision}\n",
        "wrong-type",
        "6:1",
        "seed",
        ["`float32`"],
    ),
    "defaults that are no list": ("defaults: adam\n" + DATA + MODEL, "bad-defaults", "1:1", None, ["must be a list"]),
    "defaults with an unknown group": (
        "defaults:\n  - override /optimiser: adam\n" + DATA + MODEL,
        "unknown-group",
        "2:5",
        None,
        ["`optimiser` is not a group", "`optimizer`?"],
    ),
    "defaults with an unknown option": (
        "defaults:\n  - override /optimizer: adamm\n" + DATA + MODEL,
        "unknown-optimizer",
        "2:5",
        None,
        ["`adamm` is not an optimizer", "`adam`"],
    ),
    "defaults without override": (
        "defaults:\n  - /optimizer: sgd\n" + DATA + MODEL,
        "bad-defaults",
        "2:5",
        None,
        ["Write `- override /optimizer: sgd`."],
    ),
    "defaults without a slash": (
        "defaults:\n  - override optimizer: sgd\n" + DATA + MODEL,
        "bad-defaults",
        "2:5",
        None,
        ["Write `- override /optimizer: sgd`."],
    ),
    "defaults with an unknown recipe": (
        "defaults: [digitz]\n" + DATA + MODEL,
        "unknown-recipe",
        "1:12",
        None,
        ["`digitz`", "`digits`?", "dlrun recipes"],
    ),
    "override before another entry": (
        "defaults:\n  - override /optimizer: sgd\n  - digits\n" + DATA + MODEL,
        "bad-defaults",
        "",
        None,
        ["overrides come last"],
    ),
    "choice in two places": (
        "defaults:\n  - override /optimizer: adam\n" + DATA + MODEL + "optimizer: {name: sgd}\n",
        "contradiction",
        "8:13",
        "optimizer",
        ["`optimizer` is `sgd` here but `adam` in `defaults`"],
    ),
    "duplicate key": (
        DATA + MODEL + "seed: 1\nseed: 2\n",
        "duplicate-key",
        "7:1",
        None,
        ["`seed` is written twice", "line 6"],
    ),
    "duplicate key in a section": (
        "data: {source: digits, shuffle: true, shuffle: false}\n" + MODEL,
        "duplicate-key",
        "1:39",
        None,
        ["`shuffle`"],
    ),
    "bad indentation": (
        "data:\n  source: digits\n batch_size: 3\n" + MODEL,
        "yaml-syntax",
        "3:2",
        None,
        ["not valid YAML", "indentation"],
    ),
    "tab": ("data:\n\tsource: digits\n" + MODEL, "yaml-syntax", "2:1", None, ["spaces, not tabs"]),
    "bracket that is not closed": (DATA + MODEL + "metrics: [accuracy\n", "yaml-syntax", "7:1", None, ["brackets"]),
    "reference without quotes": (
        DATA + "model:\n  layers:\n    - dense: {units: ${data.classes}}\n",
        "yaml-syntax",
        "4:23",
        None,
        ["not valid YAML", "quotes"],
    ),
    "two documents": (DATA + MODEL + "---\nseed: 1\n", "yaml-syntax", "6:1", None, ["second document"]),
    "list at the top": ("- data\n", "yaml-syntax", "1:1", None, ["must be a mapping"]),
    "custom tag": (
        DATA + MODEL + "seed: !!python/name:os.system\n",
        "yaml-syntax",
        "6:7",
        None,
        ["the tag `!!python/name:os.system` is not allowed"],
    ),
}


@pytest.mark.parametrize(("text", "code", "place", "path", "words"), CASES.values(), ids=CASES)
def test_a_mistake_has_code_place_and_words(recipe, mistakes, text, code, place, path, words):
    from dlrun.errors import dotted

    error = next(e for e in mistakes(recipe(text)) if e.code == code)
    assert str(error.where) == (f"small.yaml:{place}" if place else "small.yaml")
    if path is not None:
        assert dotted(error.path) == path
    for word in words:
        assert word in str(error)


def test_one_mistake_is_reported_once(recipe, mistakes):
    for text, *_ in CASES.values():
        errors = mistakes(recipe(text))
        limit = 2 if not text else 1  # an empty file has neither data nor model
        assert len(errors) <= limit, [str(e) for e in errors]


def test_all_mistakes_of_a_recipe_are_reported_together_in_order(recipe, mistakes):
    errors = mistakes(
        recipe(
            """\
data:
  source: digits
  batch_sise: 3
model:
  layers:
    - conv2: {filters: 3}
    - flatten
    - dense: {units: 2.5}
loss: {name: mse, weight: 1}
train: {epochs: -1}
"""
        ),
        "seed=-1",
    )
    assert [(e.code, str(e.where)) for e in errors] == [
        ("unknown-key", "small.yaml:3:3"),
        ("unknown-layer", "small.yaml:6:7"),
        ("wrong-type", "small.yaml:8:15"),
        ("unknown-key", "small.yaml:9:19"),
        ("out-of-range", "small.yaml:10:9"),
        ("out-of-range", "command line `seed=-1`"),
    ]


def test_mistakes_of_shape_are_reported_beside_others(recipe, mistakes):
    errors = mistakes(recipe(DATA + "model:\n  layers: [dense]\nseed: -1\n"))
    assert {e.code for e in errors} == {"wrong-rank", "out-of-range"}


def test_a_backend_that_is_not_installed_has_the_install_line(recipe, mistakes, monkeypatch):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "tensorflow" else real(name, *a))
    (error,) = mistakes(recipe(), "backend=tensorflow")
    assert error.code == "backend-not-installed"
    assert "pip install 'dlrun[tensorflow-cpu]'" in str(error)

    from dlrun.config import compose

    assert compose([recipe(), "backend=tensorflow"], check_installed=False).recipe.backend.name == "tensorflow"


def test_a_file_that_is_not_text(folder, mistakes):
    (folder / "bad.yaml").write_bytes(b"data: {source: digits}\nname: \xff\xfe\n")
    (error,) = mistakes("recipe=./bad.yaml")
    assert error.code == "yaml-syntax" and "UTF-8" in str(error) and "bad.yaml:2" in str(error)
