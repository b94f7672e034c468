"""Values that do not belong, and references that lead nowhere: code, words and place of each."""

from __future__ import annotations

import pytest

DATA = "data: {source: digits}\n"
MODEL = "model:\n  layers:\n    - flatten\n    - dense\n"

CASES = {
    # id: (recipe, code, place in small.yaml, path, words)
    "unknown device": (DATA + MODEL + "device: gpu\n", "invalid-choice", "6:1", "device.name", ["`cuda`", "`gpu`"]),
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
    "one where a list belongs": (
        DATA + "model:\n  layers:\n    - flatten: {inputs: x}\n    - dense\n",
        "wrong-type",
        "4:17",
        "model.layers[0].flatten.inputs",
        ["a list of texts", "Write `[x]`."],
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
    "one of the values of a mapping": (
        "data:\n  source:\n    name: table\n    train: a.csv\n    target: y\n    columns:\n"
        "      zip: category\n      age: numbr\n" + MODEL,
        "invalid-choice",
        "8:7",
        "data.source.columns.age",
        ["`age` must be one of `number`, `category`, `skip` or a mapping, got `numbr`.", "Did you mean `number`?"],
    ),
    "a number within a mapping": (
        "data: {source: {name: table, train: a.csv, target: y, columns: {zip: {hash: 0}}}}\n" + MODEL,
        "out-of-range",
        "1:71",
        "data.source.columns.zip.hash",
        ["`hash` must be an integer above 0, got `0`."],
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
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_mistake_is_reported_once_with_code_place_and_words(check, case):
    check(*case)
