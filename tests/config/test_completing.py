"""What an override may become under the cursor."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dlrun.config import complete


@pytest.mark.parametrize(
    ("text", "some"),
    [
        ("", {"recipe=", "train.", "train=", "seed=", "optimizer=", "optimizer.", "model."}),
        ("opt", {"optimizer=", "optimizer."}),
        ("+tr", {"+train.", "+train=", "+tracker=", "+tracker."}),
        ("~train.e", {"~train.epochs=", "~train.ema=", "~train.early_stopping."}),
        ("recipe=", {"recipe=digits", "recipe=mnist", "recipe=mnist_mlp"}),
        ("recipe=mn", {"recipe=mnist", "recipe=mnist_mlp"}),
        ("recipe=mnist,", {"recipe=mnist,digits", "recipe=mnist,mnist_mlp"}),
        ("optimizer=", {"optimizer=sgd", "optimizer=adam"}),
        ("optimizer=sgd,ad", {"optimizer=sgd,adam", "optimizer=sgd,adamw"}),
        ("optimizer.l", {"optimizer.learning_rate="}),
        ("optimizer.name=s", {"optimizer.name=sgd"}),
        ("data.source=m", {"data.source=mnist"}),
        ("data.so", {"data.source=", "data.source."}),
        ("data.shuffle=", {"data.shuffle=true", "data.shuffle=false"}),
        ("precision=b", {"precision=bfloat16"}),
        ("device=c", {"device=cpu", "device=cuda"}),
        ("loss=", {"loss=mse"}),
        ("train=", {"train=smoke", "train=default"}),
        ("train.early_stopping.", {"train.early_stopping.patience="}),
        ("train.checkpoints.k", {"train.checkpoints.keep="}),
        ("model.layers.conv2d_1.f", {"model.layers.conv2d_1.filters="}),
        ("model.layers.3.un", {"model.layers.3.units="}),
        ("model.layers.0.padding=", {"model.layers.0.padding=valid", "model.layers.0.padding=same"}),
        ("model.layers.0.conv2d.padding=s", {"model.layers.0.conv2d.padding=same"}),
    ],
)
def test_candidates(text, some):
    found = complete(text)
    assert some <= set(found)
    assert all(candidate.startswith(text) for candidate in found)
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    "text", ["seed=", "nothing", "train.nothing.", "optimizer=x", "model.layers.", "recipe=./a", "a.b=", "="]
)
def test_nothing_to_complete(text):
    assert complete(text) == []


def test_own_recipes_and_groups(folder):
    (folder / "recipes").mkdir()
    (folder / "recipes" / "mine.yaml").write_text("seed: 1\n", encoding="utf-8")
    (folder / "lab" / "experiment").mkdir(parents=True)
    (folder / "lab" / "experiment" / "long.yaml").write_text("seed: 1\n", encoding="utf-8")
    assert complete("recipe=mi") == ["recipe=mine"]
    assert complete("exp", "lab") == ["experiment="]
    assert complete("experiment=", "lab") == ["experiment=long"]


def test_it_imports_neither_hydra_nor_a_framework():
    code = (
        "import sys; from dlrun.config import complete; assert complete('recipe=')\n"
        "print([m for m in ('hydra', 'omegaconf', 'torch', 'tensorflow', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
