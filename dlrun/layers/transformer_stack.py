"""Whole encoders and decoders: several transformer blocks that read the same mask and memory."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from annotated_types import Gt

from dlrun.graph.layer import Example, layers
from dlrun.graph.tensor import TensorType
from dlrun.layers.transformer import TransformerDecoderBlock, TransformerEncoderBlock

_X, _MASK = TensorType((5, 6)), TensorType((5,), "int")
_MEMORY, _MEMORY_MASK = TensorType((4, 3)), TensorType((4,), "int")
_SMALL = {"layers": 2, "heads": 2, "feedforward_units": 7, "attention_bias": False}
_WIRING = ("name", "inputs", "share")


def _stacked(
    stack: TransformerEncoder | TransformerDecoder, block: str, fields: set[str], sub: Any, x: str, *others: str
) -> str:
    """Add the blocks, each reading ``others`` too, and the last norm."""
    values = {name: getattr(stack, name) for name in fields}
    for i in range(stack.layers):
        values["stochastic_depth"] = stack.stochastic_depth * i / max(stack.layers - 1, 1)
        x = sub.add(block, x, *others, name=f"block{i + 1}", **values)
    return stack.normal(sub, x, "final") if stack.final_norm else x


def _fields(block: type) -> set[str]:
    return {f.name for f in dataclasses.fields(block)} - set(_WIRING)


@layers("transformer_encoder")
class TransformerEncoder(TransformerEncoderBlock):
    """Encoder blocks on top of one another.

    y = n(B_k(… B_1(x))), with B ``transformer_encoder_block``, k the number of blocks and n the final norm.

    Args:
        layers: k.
        final_norm: Whether there is n; usual with the norm first.
        heads: Heads of each attention.
        feedforward_units: Units between the feed-forward layers of each block.
        stochastic_depth: Share of samples that skip the last block's branches in training; it grows evenly from 0
            in the first. This and all further fields are those of ``transformer_encoder_block``.

    Shapes: (N, L, C), optionally a mask (N, L) -> (N, L, C).
    Weights: ``block1.*`` to ``block<k>.*``; ``final_norm.*``.
    Errors: those of ``transformer_encoder_block``.
    Differs: torch's nn.TransformerEncoder has no final norm unless it is given one.
    Source: Vaswani et al. 2017.
    """

    layers: Annotated[int, Gt(0)]
    final_norm: bool = False

    examples = (
        Example({**_SMALL, "final_norm": True, "norm_kind": "rms_norm"}, (_X, _MASK)),
        Example({**_SMALL, "stochastic_depth": 0.3}, (_X,)),
        Example({**_SMALL, "heads": 4}, (_X,), raises="heads-not-dividing"),
    )

    def expand(self, sub: Any, *inputs: str) -> str:
        return _stacked(self, "transformer_encoder_block", _fields(TransformerEncoderBlock), sub, *inputs)


@layers("transformer_decoder")
class TransformerDecoder(TransformerDecoderBlock):
    """Decoder blocks on top of one another, all reading the same memory.

    y = n(B_k(… B_1(x, z), z)), with B ``transformer_decoder_block``, z the memory, k the number of blocks and n the
    final norm.

    Args:
        layers: k.
        final_norm: Whether there is n; usual with the norm first.
        heads: Heads of each attention.
        feedforward_units: Units between the feed-forward layers of each block.
        stochastic_depth: Share of samples that skip the last block's branches in training; it grows evenly from 0
            in the first. This and all further fields are those of ``transformer_decoder_block``.

    Shapes: (N, T, C), memory (N, S, M), optionally a mask (N, S) of the memory -> (N, T, C).
    Weights: ``block1.*`` to ``block<k>.*``; ``final_norm.*``.
    Errors: those of ``transformer_decoder_block``.
    Differs: torch's nn.TransformerDecoder has no final norm unless it is given one.
    Source: Vaswani et al. 2017.
    """

    layers: Annotated[int, Gt(0)]
    final_norm: bool = False

    examples = (
        Example({**_SMALL, "final_norm": True}, (_X, _MEMORY, _MEMORY_MASK)),
        Example(_SMALL, (_X, _MEMORY, _MASK), raises="mask-length"),
    )

    def expand(self, sub: Any, *inputs: str) -> str:
        return _stacked(self, "transformer_decoder_block", _fields(TransformerDecoderBlock), sub, *inputs)
