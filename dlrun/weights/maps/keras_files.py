"""Names of keras.applications' files (``.h5`` by layers), and files that number layers by class (``.weights.h5``)."""

from __future__ import annotations

from collections.abc import Iterator

from dlrun.graph import Graph
from dlrun.weights.maps.torchvision import blocks_of
from dlrun.weights.names import NameMap, Rule


def _mobilenet(graph: Graph) -> Iterator[Rule]:
    for n, block in enumerate(blocks_of(graph)):
        theirs = f"block_{n}" if n else "expanded_conv"
        for part, name in (("expand", "expand"), ("depth", "depthwise"), ("project", "project")):
            yield Rule(f"{block}.conv_{part}", f"{theirs}_{name}")
            yield Rule(f"{block}.norm_{part}", f"{theirs}_{name}_BN")


MOBILENET = NameMap(
    "keras_mobilenet_v2",
    (
        Rule("stem.conv", "Conv1"),
        Rule("stem.norm", "bn_Conv1"),
        Rule("head.conv", "Conv_1"),
        Rule("head.norm", "Conv_1_bn"),
        Rule("logits", "predictions"),
    ),
    style="keras",
    number=_mobilenet,
)

_CLASSES = {
    "dense": "dense",
    "conv1d": "conv1d",
    "conv2d": "conv2d",
    "conv3d": "conv3d",
    "depthwise_conv1d": "depthwise_conv1d",
    "depthwise_conv2d": "depthwise_conv2d",
    "batch_norm": "batch_normalization",
    "layer_norm": "layer_normalization",
    "embedding": "embedding",
}


def _numbered(graph: Graph) -> Iterator[Rule]:
    """The n-th layer of a class here is the n-th there, which holds where one layer follows another."""
    count: dict[str, int] = {}
    for node in graph.nodes:
        name = _CLASSES.get(node.layer.kind)
        if name is not None and node.weights:
            number = count[name] = count.get(name, -1) + 1
            yield Rule(node.name, f"layers/{name}" + (f"_{number}" if number else ""))


BY_ORDER = NameMap("keras_by_order", style="numbered", number=_numbered)

MAPS = (MOBILENET, BY_ORDER)
