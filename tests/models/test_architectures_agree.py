"""Each architecture at small size: both backends compute the same output, gradients and running statistics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlrun.graph import Graph, TensorType, build_model, models
from dlrun.initializers import initialize
from dlrun.randomness import stream

IMAGE = TensorType((32, 32, 3))
TEXT = TensorType((9,), "int")
SAMPLES = 4
SMALL = {"units": 8, "heads": 2, "depth": 2, "feedforward_units": 12, "vocabulary": 11}
CASES: list[tuple[str, TensorType, dict[str, Any]]] = [
    ("mlp", TensorType((4, 3, 1)), {"units": (7, 5), "batch_norm": True, "dropout": 0.2}),
    ("lenet", TensorType((28, 28, 1)), {}),
    ("vgg", IMAGE, {"depth": 11, "filters": 4, "units": 8, "pool": 2, "batch_norm": True}),
    # a smaller image would leave the last normalisations one cell of each sample
    ("inception", TensorType((107, 107, 3)), {"width": 0.04}),
    ("resnet", IMAGE, {"depth": 8, "filters": 4}),
    ("resnet", TensorType((33, 32, 3)), {"depth": 18, "filters": 4}),
    ("resnet", TensorType((40, 36, 3)), {"depth": 50, "filters": 2}),
    ("densenet", IMAGE, {"blocks": (2, 3), "growth": 4, "dropout": 0.1}),
    ("densenet", TensorType((8, 8, 3)), {"depth": 10, "growth": 4, "stem": "cifar"}),
    ("mobilenet", TensorType((48, 48, 3)), {"width": 0.2}),
    ("efficientnet", TensorType((48, 48, 3)), {"width": 0.15, "depth": 0.5}),
    ("convnext", TensorType((32, 36, 3)), {"blocks": (1, 1, 2), "filters": (4, 6, 8), "layer_scale": 0.5}),
    ("vit", TensorType((12, 16, 3)), {"patch": 4, "units": 8, "depth": 2, "heads": 2, "dropout": 0.1}),
    ("vit", TensorType((12, 16, 3)), {"patch": 4, "units": 8, "depth": 1, "heads": 4, "pool": "mean"}),
    ("unet", TensorType((13, 16, 2)), {"depth": 2, "filters": 3}),
    ("unet", TensorType((16, 12, 1)), {"depth": 2, "filters": 3, "batch_norm": True}),
    ("text_cnn", TEXT, {"vocabulary": 11, "units": 6, "filters": 4}),
    ("lstm_classifier", TEXT, {"vocabulary": 11, "units": 6, "state": 5, "dropout": 0.2}),
    ("lstm_classifier", TEXT, {"vocabulary": 11, "units": 6, "state": 5, "bidirectional": False}),
    ("transformer_classifier", TEXT, {**SMALL, "positions": "learned", "norm": "first", "pool": "max"}),
    ("transformer_classifier", TEXT, {**SMALL, "attention_dropout": 0.2}),
    ("bert", TensorType((12,), "int"), {**SMALL, "segments": 11}),
    ("seq2seq_transformer", TEXT, {**SMALL, "source_length": 5, "start": 1}),
    ("seq2seq_transformer", TEXT, {**SMALL, "source_length": 5, "copy": True, "norm": "first"}),
    ("seq2seq_transformer", TEXT, {**SMALL, "source_length": 4, "tied": False, "padding": None}),
    ("dcgan_generator", TensorType((6,)), {"size": 16, "filters": 4}),
    ("dcgan_discriminator", TensorType((16, 16, 3)), {"filters": 4}),
]
TOLERANCE = 1e-12


def values_of(graph: Graph) -> dict[str, np.ndarray]:
    """Weights near their start: some start at zero, behind which no gradient would show."""
    values = {}
    for name, w in graph.weights():
        start = initialize(w.initializer, w.shape, 0, name, w.fans)
        moved = stream(1, name).uniform(-0.1, 0.1, w.shape)
        values[name] = start + (moved if w.trainable else np.abs(moved))
    return values


def samples_of(x: TensorType, source: int = 0) -> np.ndarray:
    """Samples; texts of different lengths, filled up with the id 0, the source of a pair also."""
    if x.dtype == "float":
        return stream(2, str(x)).standard_normal((SAMPLES, *x.shape))
    ids = stream(2, str(x)).integers(1, 11, (SAMPLES, *x.shape))
    ids[1, -2:] = 0
    if source:
        ids[2, source - 2 : source] = 0
    return ids.astype(np.int64)


def differences(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray], floor: float) -> dict[str, float]:
    """Largest difference of each array, as a share of its largest value.

    Not of less than ``floor`` of the largest of all: what is zero on paper, such as the gradient of a bias before
    batch normalisation, is rounding of terms of that size.
    """
    assert set(ours) == set(theirs)
    largest = {k: float(np.abs(v).max()) for k, v in theirs.items()}
    least = floor * max(largest.values())
    return {k: float(np.abs(ours[k] - theirs[k]).max()) / max(largest[k], least) for k in theirs}


@pytest.mark.parametrize(("name", "x", "fields"), CASES, ids=[f"{i}-{c[0]}" for i, c in enumerate(CASES)])
def test_both_backends_agree(name: str, x: TensorType, fields: dict[str, Any], natives: dict[str, Any]) -> None:
    graph = build_model(models.get(name)(**fields), x, 5)
    weights, samples = values_of(graph), samples_of(x, fields.get("source_length", 0))
    cotangent = stream(3, name).standard_normal((SAMPLES, *graph.output.shape))
    ours, theirs = (natives[b].run(graph, weights, samples, cotangent, True) for b in ("torch", "tensorflow"))

    found = differences({"output": ours.output}, {"output": theirs.output}, 1.0)
    found |= {f"d {k}": v for k, v in differences(ours.gradients, theirs.gradients, 1e-2).items()}
    found |= {f"after {k}": v for k, v in differences(ours.weights, theirs.weights, 1e-2).items()}
    assert all(np.isfinite(g).all() and np.abs(g).max() > 0 for g in theirs.gradients.values())
    wrong = {what: share for what, share in found.items() if not share <= TOLERANCE}
    if wrong:  # deep stacks of batch norm magnify rounding: then the network's own noise is the measure
        nudged = {k: np.where(w == 0, w, np.nextafter(w, np.inf)) for k, w in weights.items()}
        moved = natives["torch"].run(graph, nudged, samples, cotangent, True)
        noise = differences({"output": ours.output}, {"output": moved.output}, 1.0)
        noise |= {f"d {k}": v for k, v in differences(ours.gradients, moved.gradients, 1e-2).items()}
        noise |= {f"after {k}": v for k, v in differences(ours.weights, moved.weights, 1e-2).items()}
        wrong = {what: (share, noise[what]) for what, share in wrong.items() if not share <= 10 * noise[what]}
    assert not wrong


def test_every_architecture_is_compared() -> None:
    trained = {"dcgan"}  # several outputs: compared update by update, where phases are tested
    assert {c[0] for c in CASES} == set(models) - {"layers", "native"} - trained
