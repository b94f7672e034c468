"""Weights that the real peers made load, give the peers' own outputs on both backends, and go back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlrun import weights
from dlrun.graph import Graph, TensorType, build_graph, build_model, layers, models
from dlrun.weights.arrays import open_arrays

torch = pytest.importorskip("torch")
TOLERANCE = 1e-5

Answers = Callable[[Graph, dict[str, np.ndarray], np.ndarray], dict[str, np.ndarray]]


@pytest.fixture(scope="module")
def answers() -> Answers:
    """What both backends answer with these weights."""

    def of(graph: Graph, values: dict[str, np.ndarray], x: np.ndarray) -> dict[str, np.ndarray]:
        pytest.importorskip("tensorflow")
        from dlrun.backends.tensorflow.model import build as tf_build
        from dlrun.backends.tensorflow.weights import load
        from dlrun.backends.torch.layout import to_canonical, to_native
        from dlrun.backends.torch.model import build

        module = build(graph, values, torch.device("cpu"), torch.float32).module.eval()
        with torch.no_grad():
            ours = to_canonical(module(to_native(torch.from_numpy(x)))).numpy()
        network = tf_build(graph, "float32")
        load(network.weights, values)
        return {"torch": ours, "tensorflow": network.model(x, training=False).numpy()}

    return of


def agree(found: dict[str, np.ndarray], wanted: np.ndarray) -> None:
    for backend, y in found.items():
        assert y.shape == wanted.shape
        assert np.abs(y - wanted).max() <= TOLERANCE * np.abs(wanted).max(), backend


def arrays_of(peer: Any) -> dict[str, np.ndarray]:
    return {name: tensor.numpy().copy() for name, tensor in peer.state_dict().items()}


def unsettle(peer: Any) -> None:
    """Move weights and running statistics away from zeros and ones, so that a forgotten one shows."""
    generator = torch.Generator().manual_seed(1)
    for name, tensor in peer.state_dict().items():
        if tensor.is_floating_point():
            noise = torch.rand(tensor.shape, generator=generator) * 0.2
            tensor.copy_(tensor + (noise if "var" in name else noise - 0.1))


def test_resnet18_of_hugging_face(answers: Answers) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.ResNetConfig(
        depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512], layer_type="basic", num_labels=7
    )
    peer = transformers.ResNetForImageClassification(config).eval()
    unsettle(peer)
    graph = build_model(models.get("resnet")(depth=18), TensorType((64, 48, 3)), 7)
    values, account = weights.load(graph, arrays_of(peer))
    assert account.map == "huggingface_resnet" and not account.unused and len(account.loaded) == 102
    x = np.random.default_rng(0).standard_normal((2, 64, 48, 3)).astype(np.float32)
    with torch.no_grad():
        wanted = peer(torch.from_numpy(x).permute(0, 3, 1, 2)).logits.numpy()
    agree(answers(graph, values, x), wanted)
    back = weights.export(graph, values, "huggingface_resnet")
    again = transformers.ResNetForImageClassification(config).eval()
    missing = again.load_state_dict({k: torch.from_numpy(v) for k, v in back.items()}, strict=False)
    assert not missing.unexpected_keys and all("num_batches" in key for key in missing.missing_keys)
    with torch.no_grad():
        np.testing.assert_array_equal(again(torch.from_numpy(x).permute(0, 3, 1, 2)).logits.numpy(), wanted)


@pytest.mark.parametrize("segments", [0, 2])
@pytest.mark.parametrize("whole", [True, False], ids=["classifier", "encoder alone"])
def test_bert_of_hugging_face(segments: int, whole: bool, answers: Answers) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=40,
        max_position_embeddings=16, num_labels=3,
    )  # fmt: skip
    peer = (transformers.BertForSequenceClassification if whole else transformers.BertModel)(config).eval()
    unsettle(peer)
    fields = {"vocabulary": 50, "units": 24, "depth": 2, "heads": 4, "feedforward_units": 40, "length": 16}
    answer = "classes" if whole else "sequence"
    model = models.get("bert")(**fields, segments=segments, answer=answer)
    graph = build_model(model, TensorType((20 if segments else 10,), "int"), 3)
    values, account = weights.load(graph, arrays_of(peer))
    pooler = [] if whole else ["pooler.dense.weight", "pooler.dense.bias"]
    assert account.map == "huggingface_bert" and account.unused == pooler and not account.missing
    rng = np.random.default_rng(0)
    ids = rng.integers(1, 50, (3, 10))
    ids[1, 6:] = 0
    kinds = rng.integers(0, 2, ids.shape) if segments else np.zeros_like(ids)

    def ask(model: Any) -> np.ndarray:
        with torch.no_grad():
            given = {"attention_mask": torch.from_numpy(ids != 0).long(), "token_type_ids": torch.from_numpy(kinds)}
            answer = model(torch.from_numpy(ids), **given)
        return (answer.logits if whole else answer.last_hidden_state).numpy()

    agree(answers(graph, values, np.concatenate([ids, kinds], 1) if segments else ids), ask(peer))
    back = weights.export(graph, values, "huggingface_bert")
    if not whole:
        back = {name.removeprefix("bert."): value for name, value in back.items()}
    again = type(peer)(config).eval()
    again.load_state_dict({k: torch.from_numpy(v) for k, v in back.items()}, strict=whole)
    agree({"back": ask(again)}, ask(peer))


@pytest.mark.parametrize("first", [False, True], ids=["norm last", "norm first"])
def test_transformer_encoder_of_torch(first: bool, answers: Answers) -> None:
    block = torch.nn.TransformerEncoderLayer(24, 4, 40, batch_first=True, norm_first=first)
    norm = torch.nn.LayerNorm(24) if first else None
    peer = torch.nn.TransformerEncoder(block, 2, norm=norm, enable_nested_tensor=False).eval()
    unsettle(peer)
    spec = layers.get("transformer_encoder")(
        layers=2,
        heads=4,
        feedforward_units=40,
        activation="relu",
        norm="first" if first else "last",
        final_norm=first,
    )
    graph = build_graph([spec], TensorType((6, 24)))
    arrays = arrays_of(peer)
    values, account = weights.load(graph, arrays)
    assert account.map == "torch_transformer_encoder" and not account.unused
    x = np.random.default_rng(0).standard_normal((2, 6, 24)).astype(np.float32)
    with torch.no_grad():
        agree(answers(graph, values, x), peer(torch.from_numpy(x)).numpy())
    back = weights.export(graph, values, "torch_transformer_encoder")
    assert set(back) == set(arrays)
    for name, value in back.items():
        np.testing.assert_array_equal(value, arrays[name])


def test_mobilenet_v2_of_keras(answers: Answers, tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    import dlrun.backends.tensorflow  # noqa: F401  (sets up Keras)

    import keras  # isort: skip

    peer = keras.applications.MobileNetV2((96, 80, 3), alpha=0.35, weights=None, classes=5, classifier_activation=None)
    rng = np.random.default_rng(0)
    for variable in peer.weights:
        variance = variable.path.endswith("variance")
        variable.assign(variable.numpy() + rng.uniform(0.0 if variance else -0.1, 0.1, variable.shape))
    model = models.get("mobilenet")(width=0.35, padding="same", epsilon=1e-3, momentum=1e-3)
    graph = build_model(model, TensorType((96, 80, 3)), 5)
    x = rng.standard_normal((2, 96, 80, 3)).astype(np.float32)
    wanted = peer(x, training=False).numpy()
    for name, map in {
        "peer.h5": "keras_mobilenet_v2",
        "peer.weights.h5": "keras_by_order",
        "peer.keras": "keras_by_order",
    }.items():
        (peer.save_weights if "weights" in name else peer.save)(tmp_path / name)
        arrays = open_arrays(tmp_path / name)
        assert arrays is not None
        values, account = weights.load(graph, arrays)
        assert account.map == map and not account.unused and len(account.loaded) == 262
        if name == "peer.h5":
            agree(answers(graph, values, x), wanted)
        back = weights.export(graph, values, map)
        assert set(back) == set(arrays)
        for key, value in back.items():
            np.testing.assert_array_equal(value, arrays.read(key))
