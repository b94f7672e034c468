"""Defaults that stand in no recipe but decide what it means: changing one changes every run that relies on it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from dlrun.graph import layers
from dlrun.losses import losses
from dlrun.optimizers import optimizers
from dlrun.registry import Registry
from dlrun.schedules import schedules

PINNED: list[tuple[Registry[Any], str, dict[str, Any]]] = [
    (layers, "dense", {"bias": True, "kernel_initializer": "glorot_uniform", "bias_initializer": "zeros"}),
    (layers, "conv2d", {"stride": 1, "dilation": 1, "padding": "valid", "bias": True}),
    (layers, "max_pool2d", {"stride": None, "padding": "valid"}),
    (layers, "avg_pool2d", {"stride": None, "padding": "valid"}),
    (layers, "batch_norm", {"momentum": 0.1, "epsilon": 1e-5}),
    (layers, "layer_norm", {"epsilon": 1e-5}),
    (layers, "leaky_relu", {"slope": 0.01}),
    (layers, "elu", {"alpha": 1.0}),
    (layers, "gelu", {"approximate": "none"}),
    (losses, "softmax_cross_entropy", {"label_smoothing": 0.0, "class_weights": None, "ignore_index": None}),
    (losses, "softmax_focal", {"gamma": 2.0, "class_weights": None, "ignore_index": None}),
    (losses, "binary_cross_entropy", {"pos_weight": 1.0, "label_smoothing": 0.0, "ignore_nan": False}),
    (losses, "focal", {"alpha": 0.25, "gamma": 2.0, "divide_by": "elements", "ignore_nan": False}),
    (losses, "heatmap_focal", {"alpha": 2.0, "beta": 4.0}),
    (losses, "hinge", {"squared": False}),
    (losses, "huber", {"delta": 1.0}),
    (losses, "smooth_l1", {"beta": 1.0}),
    (losses, "dice", {"smooth": 1.0, "ignore_index": None}),
    (losses, "cosine_similarity", {"epsilon": 1e-8}),
    (losses, "contrastive", {"margin": 1.0}),
    (losses, "triplet", {"margin": 1.0}),
    (losses, "iou", {"epsilon": 1e-7}),
    (losses, "giou", {"epsilon": 1e-7}),
    (losses, "ctc", {"blank": 0, "frame_counts": False}),
    (optimizers, "sgd", {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0}),
    (optimizers, "adam", {"learning_rate": 1e-3, "betas": (0.9, 0.999), "epsilon": 1e-8, "weight_decay": 0.0}),
    (optimizers, "adamw", {"learning_rate": 1e-3, "betas": (0.9, 0.999), "epsilon": 1e-8, "weight_decay": 0.01}),
    (optimizers, "rmsprop", {"learning_rate": 0.01, "alpha": 0.99, "epsilon": 1e-8, "momentum": 0.0}),
    (schedules, "step", {"gamma": 0.1, "warmup_steps": 0}),
    (schedules, "cosine", {"final": 0.0, "warmup_steps": 0}),
    (schedules, "polynomial", {"power": 1.0, "final": 0.0, "warmup_steps": 0}),
]


@pytest.mark.parametrize(("registry", "kind", "expected"), PINNED, ids=[f"{r.role}-{k}" for r, k, _ in PINNED])
def test_defaults_stay(registry: Registry[Any], kind: str, expected: dict[str, Any]) -> None:
    defaults = {f.name: f.default for f in dataclasses.fields(registry.get(kind))}
    assert {name: defaults[name] for name in expected} == expected
