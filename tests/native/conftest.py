"""Models of one's own, as a user writes them in a file beside the recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlrun import extensions

TORCH = '''
import torch
from torch import nn


class Net(nn.Module):
    """Reads (N, 1, 8, 8); ``view`` works on plain tensors only."""

    def __init__(self, classes, hidden=8, rate=0.25):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.features = nn.Sequential(nn.Conv2d(1, hidden, 3, padding=1), nn.BatchNorm2d(hidden), nn.ReLU())
        self.dropout = nn.Dropout(rate)
        self.head = nn.LazyLinear(classes)

    def forward(self, x):
        assert x.shape[1:] == (1, 8, 8), x.shape
        x = self.features(x)
        return self.head(self.dropout(x.view(x.size(0), -1))) * self.scale


def small(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))


class Named:
    pass
'''
KERAS = '''
import keras


class Net(keras.Model):
    """Reads (N, 8, 8, 1)."""

    def __init__(self, classes, hidden=8, rate=0.25):
        super().__init__(name="net")
        self.convolution = keras.layers.Conv2D(hidden, 3, padding="same", name="convolution")
        self.norm = keras.layers.BatchNormalization(name="norm")
        self.flatten = keras.layers.Flatten()
        self.dropout = keras.layers.Dropout(rate)
        self.head = keras.layers.Dense(classes)

    def call(self, x, training=False):
        assert tuple(x.shape[1:]) == (8, 8, 1), x.shape
        x = keras.ops.relu(self.norm(self.convolution(x), training=training))
        return self.head(self.dropout(self.flatten(x), training=training))


def functional(classes):
    x = keras.Input((8, 8, 1))
    return keras.Model(x, keras.layers.Dense(classes)(keras.layers.Flatten()(x)))


def penalised(classes):
    return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(classes, kernel_regularizer="l2")])
'''
RECIPE = """
task: classification
extensions: [torch_net.py, keras_net.py]
data: {source: digits, validation: 200, batch_size: 64}
model:
  torch: {_target_: torch_net.Net, classes: "${data.classes}"}
  tensorflow: {_target_: keras_net.Net, classes: "${data.classes}"}
train: {epochs: 2, limit_batches: 6}
device: {threads: 1}
tracker: none
"""
ONE = """
task: classification
extensions: [torch_net.py]
data: {source: digits}
model: {_target_: torch_net.Net, classes: "${data.classes}", hidden: 4}
tracker: none
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder with two models, a recipe for both backends and one for torch."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, text in {
        "torch_net.py": TORCH,
        "keras_net.py": KERAS,
        "both.yaml": RECIPE,
        "one.yaml": ONE,
    }.items():
        (tmp_path / name).write_text(text)
    yield tmp_path
    extensions.begin()
