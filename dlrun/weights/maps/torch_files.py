"""Names of torch's own modules (state dicts)."""

from __future__ import annotations

from dlrun.weights.maps.torchvision import attention_rules
from dlrun.weights.names import NameMap, Rule

TRANSFORMER = NameMap(
    "torch_transformer_encoder",
    (
        *attention_rules("**.block{i}.self_attention", "layers.{i-1}.self_attn"),
        Rule("**.block{i}.self_attention_norm", "layers.{i-1}.norm1"),
        Rule("**.block{i}.feed_forward.expand", "layers.{i-1}.linear1"),
        Rule("**.block{i}.feed_forward.contract", "layers.{i-1}.linear2"),
        Rule("**.block{i}.feed_forward_norm", "layers.{i-1}.norm2"),
        Rule("**.final_norm", "norm"),
    ),
)

MAPS = (TRANSFORMER,)
