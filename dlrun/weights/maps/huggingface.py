"""Names of Hugging Face transformers' models (state dicts, ``model.safetensors``)."""

from __future__ import annotations

from collections.abc import Iterator

from dlrun.graph import Graph
from dlrun.weights.layout import Fold
from dlrun.weights.names import NameMap, Rule

_LAYER = "resnet.encoder.stages.{i-1}.layers.{j-1}"

RESNET = NameMap(
    "huggingface_resnet",
    (
        Rule("stem.conv", "resnet.embedder.embedder.convolution"),
        Rule("stem.norm", "resnet.embedder.embedder.normalization"),
        Rule("stage{i}.block{j}.conv{k}", f"{_LAYER}.layer.{{k-1}}.convolution"),
        Rule("stage{i}.block{j}.norm{k}", f"{_LAYER}.layer.{{k-1}}.normalization"),
        Rule("stage{i}.block{j}.shortcut.conv", f"{_LAYER}.shortcut.convolution"),
        Rule("stage{i}.block{j}.shortcut.norm", f"{_LAYER}.shortcut.normalization"),
        Rule("logits", "classifier.1"),
    ),
    optional=("resnet.",),
)

_BLOCK = "encoder.block{i}"
_THEIRS = "bert.encoder.layer.{i-1}"
_KINDS = "bert.embeddings.token_type_embeddings"


def _bert(graph: Graph) -> Iterator[Rule]:
    """Without segments every text is of the first kind, whose vector then joins the positions."""
    segmented = any(node.name == "segments" for node in graph.nodes)
    fold = None if segmented else ("table", Fold(f"{_KINDS}.weight", rows=2))
    yield Rule("positions", "bert.embeddings.position_embeddings", fold=fold)


BERT = NameMap(
    "huggingface_bert",
    (
        Rule("embedding", "bert.embeddings.word_embeddings"),
        Rule("segments", _KINDS),
        Rule("norm", "bert.embeddings.LayerNorm"),
        *(
            Rule(f"{_BLOCK}.self_attention.{name}", f"{_THEIRS}.attention.self.{name}")
            for name in ("query", "key", "value")
        ),
        Rule(f"{_BLOCK}.self_attention.output", f"{_THEIRS}.attention.output.dense"),
        Rule(f"{_BLOCK}.self_attention_norm", f"{_THEIRS}.attention.output.LayerNorm"),
        Rule(f"{_BLOCK}.feed_forward.expand", f"{_THEIRS}.intermediate.dense"),
        Rule(f"{_BLOCK}.feed_forward.contract", f"{_THEIRS}.output.dense"),
        Rule(f"{_BLOCK}.feed_forward_norm", f"{_THEIRS}.output.LayerNorm"),
        Rule("pooler", "bert.pooler.dense"),
        Rule("logits", "classifier"),
    ),
    optional=("bert.",),
    number=_bert,
)

MAPS = (RESNET, BERT)
