"""Name maps: their names as published, both ways, and what a recipe writes itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlrun import weights
from dlrun.errors import DlrunError
from dlrun.graph import Graph, TensorType, build_graph, build_model, layers, models
from dlrun.weights.maps import MAPS

IMAGE = TensorType((32, 32, 3))
CASES: list[tuple[str, str, dict[str, Any], dict[str, tuple[int, ...]]]] = [
    ("torchvision_resnet", "resnet", {"depth": 18}, {
        "conv1.weight": (64, 3, 7, 7), "bn1.running_var": (64,), "layer2.0.downsample.0.weight": (128, 64, 1, 1),
        "layer4.1.bn2.bias": (512,), "fc.weight": (5, 512),
    }),
    ("torchvision_resnet", "resnet", {"depth": 50}, {
        "layer1.0.downsample.1.running_mean": (256,), "layer3.5.conv3.weight": (1024, 256, 1, 1),
    }),
    ("huggingface_resnet", "resnet", {"depth": 18}, {
        "resnet.embedder.embedder.convolution.weight": (64, 3, 7, 7),
        "resnet.encoder.stages.1.layers.0.shortcut.convolution.weight": (128, 64, 1, 1),
        "resnet.encoder.stages.3.layers.1.layer.1.normalization.running_mean": (512,),
    }),
    ("torchvision_vgg", "vgg", {"depth": 16, "pool": 1, "units": 8}, {
        "features.0.weight": (64, 3, 3, 3), "features.10.weight": (256, 128, 3, 3), "features.28.bias": (512,),
        "classifier.0.weight": (8, 512), "classifier.6.weight": (5, 8),
    }),
    ("torchvision_vgg", "vgg", {"depth": 11, "pool": 1, "units": 8, "batch_norm": True}, {
        "features.1.running_mean": (64,), "features.4.weight": (128, 64, 3, 3), "features.26.weight": (512,),
    }),
    ("torchvision_densenet", "densenet", {}, {
        "features.conv0.weight": (64, 3, 7, 7), "features.denseblock4.denselayer16.conv2.weight": (32, 128, 3, 3),
        "features.transition1.conv.weight": (128, 256, 1, 1), "features.norm5.weight": (1024,),
    }),
    ("torchvision_mobilenet_v2", "mobilenet", {}, {
        "features.0.0.weight": (32, 3, 3, 3), "features.1.conv.0.0.weight": (32, 1, 3, 3),
        "features.1.conv.1.weight": (16, 32, 1, 1), "features.2.conv.0.0.weight": (96, 16, 1, 1),
        "features.17.conv.3.running_var": (320,), "features.18.0.weight": (1280, 320, 1, 1),
        "classifier.1.weight": (5, 1280),
    }),
    ("torchvision_efficientnet", "efficientnet", {}, {
        "features.1.0.block.0.0.weight": (32, 1, 3, 3), "features.1.0.block.1.fc1.weight": (8, 32, 1, 1),
        "features.2.0.block.0.0.weight": (96, 16, 1, 1), "features.2.1.block.2.fc2.weight": (144, 6, 1, 1),
        "features.7.0.block.3.1.bias": (320,), "features.8.0.weight": (1280, 320, 1, 1),
    }),
    ("torchvision_convnext", "convnext", {}, {
        "features.0.0.weight": (96, 3, 4, 4), "features.0.1.weight": (96,), "features.1.0.layer_scale": (96, 1, 1),
        "features.1.2.block.0.weight": (96, 1, 7, 7), "features.2.1.weight": (192, 96, 2, 2),
        "features.7.2.block.3.weight": (3072, 768), "classifier.0.bias": (768,), "classifier.2.weight": (5, 768),
    }),
    ("torchvision_vit", "vit", {"variant": "tiny", "depth": 2}, {
        "class_token": (1, 1, 192), "conv_proj.weight": (192, 3, 16, 16), "encoder.pos_embedding": (1, 5, 192),
        "encoder.layers.encoder_layer_1.self_attention.in_proj_weight": (576, 192),
        "encoder.layers.encoder_layer_0.self_attention.in_proj_bias": (576,),
        "encoder.layers.encoder_layer_0.mlp.3.weight": (192, 768), "encoder.ln.weight": (192,),
        "heads.head.bias": (5,),
    }),
    ("keras_mobilenet_v2", "mobilenet", {}, {
        "Conv1/kernel": (3, 3, 3, 32), "expanded_conv_depthwise/kernel": (3, 3, 32, 1),
        "block_16_project_BN/moving_variance": (320,), "predictions/kernel": (1280, 5),
    }),
    ("keras_by_order", "mobilenet", {}, {
        "layers/conv2d/0": (3, 3, 3, 32), "layers/batch_normalization_51/3": (1280,), "layers/dense/1": (5,),
    }),
]  # fmt: skip


def drawn(graph: Graph) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal(w.shape).astype(np.float32) for name, w in graph.weights()}


@pytest.mark.parametrize(("map", "architecture", "fields", "published"), CASES)
def test_a_map_has_the_published_names_and_works_both_ways(
    map: str, architecture: str, fields: dict[str, Any], published: dict[str, tuple[int, ...]]
) -> None:
    graph = build_model(models.get(architecture)(**fields), IMAGE, 5)
    ours = drawn(graph)
    theirs = weights.export(graph, ours, map)
    assert {name: theirs[name].shape for name in published} == published
    back, account = weights.load(graph, theirs)
    assert account.map == map and len(account.loaded) == len(ours) and not account.unused
    for name in ours:
        np.testing.assert_array_equal(back[name], ours[name])


def test_every_map_is_tried() -> None:
    assert set(MAPS) - {map for map, *_ in CASES} == {"huggingface_bert", "torch_transformer_encoder"}


@pytest.fixture
def graph() -> Graph:
    """A convolution, a depthwise one, a normalisation and a dense layer."""
    specs = [
        layers.get("conv2d")(filters=4, kernel=3),
        layers.get("depthwise_conv2d")(kernel=3, multiplier=2, bias=False),
        layers.get("batch_norm")(),
        layers.get("flatten")(),
        layers.get("dense")(units=5),
    ]
    return build_graph(specs, TensorType((6, 7, 3)))


def test_canonical_names_need_no_map(graph: Graph) -> None:
    ours = drawn(graph)
    back, account = weights.load(graph, ours)
    assert account.map == "canonical"
    np.testing.assert_array_equal(back["dense_1.kernel"], ours["dense_1.kernel"])


def test_a_map_of_ones_own(graph: Graph) -> None:
    written = {
        "conv2d_1": "net.0",
        "depthwise_*": "net.1.*",
        "batch_norm_1": "bn",
        "dense_1.kernel": "w",
        "dense_1.bias": "b",
    }
    ours = drawn(graph)
    theirs = weights.export(graph, ours, written)
    assert theirs["net.1.conv2d_1.weight"].shape == (8, 1, 3, 3)
    np.testing.assert_array_equal(theirs["net.1.conv2d_1.weight"][3, 0], ours["depthwise_conv2d_1.kernel"][:, :, 1, 1])
    assert theirs["w"].shape == (5, ours["dense_1.kernel"].shape[0]) and set(theirs) >= {"bn.running_var", "b"}
    back, _ = weights.load(graph, theirs, written)
    for name in ours:
        np.testing.assert_array_equal(back[name], ours[name])


def test_what_does_not_fit_is_an_error_unless_it_may(graph: Graph) -> None:
    ours = drawn(graph)
    head = ours.pop("dense_1.bias")
    ours["dense_1.kernel"] = ours["dense_1.kernel"][:, :3]
    ours["aux.kernel"] = head
    with pytest.raises(DlrunError) as caught:
        weights.load(graph, ours)
    assert caught.value.code == "weights-mismatch"
    assert "`dense_1.kernel` (48, 5)" in caught.value.message and "`dense_1.bias`" in caught.value.message
    values, account = weights.load(graph, ours, partial=True)
    assert "dense_1.kernel" not in values and len(account.loaded) == len(values) == 7
    assert account.missing == {"dense_1.bias": "dense_1.bias"} and account.unused == ["aux.kernel"]
    text = "\n".join(account.lines())
    assert "7 of 9 weights" in text and "(48, 3)" in text and "`aux.kernel`" in text
    _, account = weights.load(graph, ours, skip=["dense_1.*"])
    assert account.skipped == ["dense_1.kernel", "dense_1.bias"]


def test_a_file_of_another_model(graph: Graph) -> None:
    with pytest.raises(DlrunError) as caught:
        weights.load(graph, {"foo.bar": np.zeros(3)}, partial=True)
    assert caught.value.code == "no-map-fits" and "`foo.bar`" in caught.value.message
    with pytest.raises(DlrunError) as caught:
        weights.load(graph, {}, "torchvision_resnat")
    assert caught.value.code == "unknown-map" and "`torchvision_resnet`" in (caught.value.hint or "")


def test_older_names_of_normalisations_and_wrapped_models(graph: Graph) -> None:
    written = {"conv2d_1": "c", "depthwise_conv2d_1": "d", "batch_norm_1": "n", "dense_1": "f"}
    theirs = weights.export(graph, drawn(graph), written)
    older = {f"module.{k}".replace("n.weight", "n.gamma").replace("n.bias", "n.beta"): v for k, v in theirs.items()}
    older["module.n.num_batches_tracked"] = np.zeros(())
    _, account = weights.load(graph, older, written)
    assert len(account.loaded) == 9 and not account.unused


@pytest.mark.parametrize("shape", [(2, 7), (2, 1), (24,), (0, 24)])
def test_an_array_that_joins_another_must_fit_too(shape: tuple[int, ...]) -> None:
    fields = {"vocabulary": 50, "units": 24, "depth": 1, "heads": 4, "feedforward_units": 40, "length": 16}
    graph = build_model(models.get("bert")(**fields), TensorType((10,), "int"), 3)
    theirs = weights.export(graph, drawn(graph), "huggingface_bert")
    kinds = "bert.embeddings.token_type_embeddings.weight"
    _, account = weights.load(graph, theirs | {kinds: np.zeros((1, 24), np.float32)})
    assert not account.unused and not account.mismatched
    with pytest.raises(DlrunError) as caught:
        weights.load(graph, theirs | {kinds: np.zeros(shape, np.float32)})
    assert caught.value.code == "weights-mismatch" and f"`positions.table` (16, 24) is {kinds} {shape}" in str(
        caught.value
    )
    values, account = weights.load(graph, theirs | {kinds: np.zeros(shape, np.float32)}, partial=True)
    assert "positions.table" not in values and account.mismatched == [("positions.table", (16, 24), kinds, shape)]


def test_a_map_of_ones_own_that_names_no_layer_is_refused_both_ways(graph: Graph) -> None:
    for use in (weights.load, weights.export):
        with pytest.raises(DlrunError) as caught:
            use(graph, drawn(graph), {"conv2d_1": "a", "conv2d_9": "b"})
        assert caught.value.code == "unmatched-pattern" and "`conv2d_9`" in str(caught.value)
