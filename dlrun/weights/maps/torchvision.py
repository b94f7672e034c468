"""Names of torchvision's models (``.pth`` state dicts); timm's ResNets have the same."""

from __future__ import annotations

from collections.abc import Iterator

from dlrun.graph import Graph
from dlrun.weights.names import NameMap, Rule


def attention_rules(ours: str, theirs: str) -> tuple[Rule, ...]:
    """Query, key and value, which torch keeps in one matrix, and the output."""
    packed = tuple(
        Rule(f"{ours}.{name}", f"{theirs}.in_proj_", part=(i, 3)) for i, name in enumerate(("query", "key", "value"))
    )
    return (*packed, Rule(f"{ours}.output", f"{theirs}.out_proj"))


RESNET = NameMap(
    "torchvision_resnet",
    (
        Rule("stem.conv", "conv1"),
        Rule("stem.norm", "bn1"),
        Rule("stage{i}.block{j}.conv{k}", "layer{i}.{j-1}.conv{k}"),
        Rule("stage{i}.block{j}.norm{k}", "layer{i}.{j-1}.bn{k}"),
        Rule("stage{i}.block{j}.shortcut.conv", "layer{i}.{j-1}.downsample.0"),
        Rule("stage{i}.block{j}.shortcut.norm", "layer{i}.{j-1}.downsample.1"),
        Rule("logits", "fc"),
    ),
)

DENSENET = NameMap(
    "torchvision_densenet",
    (
        Rule("stem.conv", "features.conv0"),
        Rule("stem.norm", "features.norm0"),
        Rule("block{i}.layer{j}.conv{k}", "features.denseblock{i}.denselayer{j}.conv{k}"),
        Rule("block{i}.layer{j}.norm{k}", "features.denseblock{i}.denselayer{j}.norm{k}"),
        Rule("transition{i}.conv", "features.transition{i}.conv"),
        Rule("transition{i}.norm", "features.transition{i}.norm"),
        Rule("norm", "features.norm5"),
        Rule("logits", "classifier"),
    ),
    older=((r"(denselayer\d+\.(?:norm|conv))(\d)", r"\1.\2"),),
)


def _vgg(graph: Graph) -> Iterator[Rule]:
    at, stage = 0, ""  # activations and pooling count among torchvision's features, too
    norms = any(node.layer.kind == "batch_norm" for node in graph.nodes)
    for node in graph.nodes:
        scope, _, leaf = node.name.partition(".")
        if not scope.startswith("stage") or not leaf.startswith(("conv", "norm")) or not node.weights:
            continue
        if leaf.startswith("norm"):
            yield Rule(node.name, f"features.{at - 2}")
            continue
        at += 1 if scope != stage and stage else 0
        stage = scope
        yield Rule(node.name, f"features.{at}")
        at += 3 if norms else 2


VGG = NameMap(
    "torchvision_vgg",
    (Rule("hidden1", "classifier.0"), Rule("hidden2", "classifier.3"), Rule("logits", "classifier.6")),
    number=_vgg,
)


def _mobilenet(graph: Graph) -> Iterator[Rule]:
    blocks = blocks_of(graph)
    for n, (block, parts) in enumerate(blocks.items(), 1):
        inner = ("conv_expand", "conv_depth") if "conv_expand" in parts else ("conv_depth",)
        for i, part in enumerate(inner):
            yield Rule(f"{block}.{part}", f"features.{n}.conv.{i}.0")
            yield Rule(f"{block}.{part.replace('conv', 'norm')}", f"features.{n}.conv.{i}.1")
        yield Rule(f"{block}.conv_project", f"features.{n}.conv.{len(inner)}")
        yield Rule(f"{block}.norm_project", f"features.{n}.conv.{len(inner) + 1}")
    yield Rule("head.conv", f"features.{len(blocks) + 1}.0")
    yield Rule("head.norm", f"features.{len(blocks) + 1}.1")


_STEM = (Rule("stem.conv", "features.0.0"), Rule("stem.norm", "features.0.1"), Rule("logits", "classifier.1"))
MOBILENET = NameMap("torchvision_mobilenet_v2", _STEM, number=_mobilenet)


def _efficientnet(graph: Graph) -> Iterator[Rule]:
    stages: list[str] = []
    for block, parts in blocks_of(graph).items():
        stage, _, number = block.rpartition(".block")
        stages += [] if stage in stages else [stage]
        theirs = f"features.{len(stages)}.{int(number) - 1}.block"
        expands = int("conv_expand" in parts)
        for i, part in enumerate(("conv_expand", "conv_depth")[1 - expands :]):
            yield Rule(f"{block}.{part}", f"{theirs}.{i}.0")
            yield Rule(f"{block}.{part.replace('conv', 'norm')}", f"{theirs}.{i}.1")
        yield Rule(f"{block}.squeeze.reduce", f"{theirs}.{expands + 1}.fc1", turn="pointwise")
        yield Rule(f"{block}.squeeze.expand", f"{theirs}.{expands + 1}.fc2", turn="pointwise")
        yield Rule(f"{block}.conv_project", f"{theirs}.{expands + 2}.0")
        yield Rule(f"{block}.norm_project", f"{theirs}.{expands + 2}.1")
    yield Rule("head.conv", f"features.{len(stages) + 1}.0")
    yield Rule("head.norm", f"features.{len(stages) + 1}.1")


EFFICIENTNET = NameMap("torchvision_efficientnet", _STEM, number=_efficientnet)


def blocks_of(graph: Graph) -> dict[str, set[str]]:
    """The layers with weights of each ``stage<i>.block<j>``, in order."""
    found: dict[str, set[str]] = {}
    for node in graph.nodes:
        parts = node.name.split(".")
        if len(parts) > 2 and parts[0].startswith("stage") and parts[1].startswith("block") and node.weights:
            found.setdefault(".".join(parts[:2]), set()).add(parts[2])
    return found


def _convnext(graph: Graph) -> Iterator[Rule]:
    stages = dict.fromkeys(block.split(".")[0] for block in blocks_of(graph))
    for i, stage in enumerate(stages):
        theirs = f"features.{2 * i + 1}.{{j-1}}"
        yield Rule(f"{stage}.block{{j}}.depth", f"{theirs}.block.0")
        yield Rule(f"{stage}.block{{j}}.norm", f"{theirs}.block.2")
        yield Rule(f"{stage}.block{{j}}.widen", f"{theirs}.block.3", turn="linear")
        yield Rule(f"{stage}.block{{j}}.narrow", f"{theirs}.block.5", turn="linear")
        yield Rule(f"{stage}.block{{j}}.scale", f"{theirs}.layer_scale", axes=(None, 1, 1))
        yield Rule(f"down{i}.norm", f"features.{2 * i}.0")
        yield Rule(f"down{i}.conv", f"features.{2 * i}.1")


CONVNEXT = NameMap(
    "torchvision_convnext",
    (*_STEM[:2], Rule("norm", "classifier.0"), Rule("logits", "classifier.2")),
    number=_convnext,
)

VIT = NameMap(
    "torchvision_vit",
    (
        Rule("patches", "conv_proj"),
        Rule("token", "class_token", axes=(1, 1, None)),
        Rule("positions", "encoder.pos_embedding", axes=(1, None)),
        *attention_rules("encoder.block{i}.self_attention", "encoder.layers.encoder_layer_{i-1}.self_attention"),
        Rule("encoder.block{i}.self_attention_norm", "encoder.layers.encoder_layer_{i-1}.ln_1"),
        Rule("encoder.block{i}.feed_forward_norm", "encoder.layers.encoder_layer_{i-1}.ln_2"),
        Rule("encoder.block{i}.feed_forward.expand", "encoder.layers.encoder_layer_{i-1}.mlp.0"),
        Rule("encoder.block{i}.feed_forward.contract", "encoder.layers.encoder_layer_{i-1}.mlp.3"),
        Rule("encoder.final_norm", "encoder.ln"),
        Rule("logits", "heads.head"),
    ),
    older=((r"\bmlp\.0\.", "mlp.linear_1."), (r"\bmlp\.3\.", "mlp.linear_2.")),
)

MAPS = (RESNET, DENSENET, VGG, MOBILENET, EFFICIENTNET, CONVNEXT, VIT)
