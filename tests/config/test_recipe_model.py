"""Sections that are each well formed and do not fit together: code, words and place of each."""

from __future__ import annotations

import pytest

DATA = "data: {source: digits}\n"
MODEL = "model:\n  layers:\n    - flatten\n    - dense\n"

CASES = {
    # id: (recipe, code, place in small.yaml, path, words)
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
        "5:7",
        "model.layers[1].dense",
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
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_mistake_is_reported_once_with_code_place_and_words(check, case):
    check(*case)


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
