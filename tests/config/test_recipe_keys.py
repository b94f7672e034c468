"""Names in a recipe that mean nothing, and names that are missing: code, words and place of each."""

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
        ["`flaten` is not a layer", "Did you mean `flatten`", "`max_pool2d`"],
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
    "source by its files": (
        "data: {source: {name: CSV, train: rows.csv}}\n" + MODEL,
        "unknown-data-source",
        "1:17",
        "data.source.name",
        ["`CSV` is not a data source", "Did you mean `table`?"],
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
    "misspelt metric": (
        DATA + MODEL + "metrics: [acuracy]\n",
        "unknown-metric",
        "6:11",
        "metrics[0]",
        ["`accuracy` or"],
    ),
    "misspelt transform": (
        "data: {source: digits, preprocess: [normalise]}\n" + MODEL,
        "unknown-transform",
        "1:37",
        "data.preprocess[0]",
        ["`normalize`"],
    ),
    "misspelt task": (DATA + MODEL + "task: clasification\n", "unknown-task", "6:1", "task", ["`classification`"]),
    "unknown backend": (DATA + MODEL + "backend: pytorch\n", "unknown-backend", "6:1", "backend.name", ["`torch`"]),
    "device that is not supported": (
        DATA + MODEL + "device: tpu\n",
        "device-not-supported",
        "6:1",
        "device.name",
        ["`tpu` is not supported", "`cuda`"],
    ),
    "unknown option of train": (DATA + MODEL + "train: smok\n", "unknown-train", "6:1", None, ["`smoke`"]),
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
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_mistake_is_reported_once_with_code_place_and_words(check, case):
    check(*case)
