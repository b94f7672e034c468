"""What the transformers over token ids share: embedded tokens with positions, and stacks of blocks."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt

from dlrun.described import described
from dlrun.initializers import Initial
from dlrun.models.start import NARROW, start
from dlrun.models.tokens import Positive, Tokens

Rate = Annotated[float, Ge(0), Lt(1)]


@described
class Transformer(Tokens):
    """A transformer over token ids, with the sizes of the base model of Vaswani et al. 2017.

    Args:
        units: Width.
        depth: Blocks of each stack.
        heads: Attention heads.
        feedforward_units: Width inside the feed-forward layers.
        activation: Inside the feed-forward layers.
        norm: Before each branch (``first``) or after each sum (``last``).
        epsilon: That of the norms.
        positions: ``sinusoidal`` or ``learned``.
        dropout: Share zeroed after the positions and at the end of each branch, in training.
        attention_dropout: Share of the attention zeroed in training.
    """

    units: Positive = 512
    depth: Positive = 6
    heads: Positive = 8
    feedforward_units: Positive = 2048
    activation: str = "relu"
    norm: Literal["first", "last"] = "last"
    epsilon: Annotated[float, Gt(0)] = 1e-5
    positions: Literal["sinusoidal", "learned"] = "sinusoidal"
    dropout: Rate = 0.1
    attention_dropout: Rate = 0.0

    @property
    def embedding_start(self) -> Initial:
        """How embeddings start: their product with the square root of the width has deviation 1."""
        return start("normal", std=1 / math.sqrt(self.units))

    def embed(self, sub: Any, ids: str, vocabulary: int, name: str = "embedding", share: str | None = None) -> str:
        """Token ids as vectors, times the square root of the width."""
        found: str = sub.add(
            "embedding",
            ids,
            name=name,
            vocabulary=vocabulary,
            units=self.units,
            padding=self.padding,
            multiplier=math.sqrt(self.units),
            initializer=self.embedding_start,
            share=share,
        )
        return found

    def place(self, sub: Any, x: str) -> str:
        """Positions added, then dropout."""
        if self.positions == "learned":
            x = sub.add("learned_position", x, name="positions", initializer=NARROW)
        else:
            x = sub.add("sinusoidal_position", x, name="positions")
        return sub.add("dropout", x, name="dropout", rate=self.dropout) if self.dropout else x

    def stack_fields(self) -> dict[str, Any]:
        """Fields of a stack of blocks, which is normalised at its end where the blocks' own norms come first."""
        return {
            "layers": self.depth,
            "final_norm": self.norm == "first",
            "heads": self.heads,
            "feedforward_units": self.feedforward_units,
            "activation": self.activation,
            "norm": self.norm,
            "epsilon": self.epsilon,
            "dropout": self.dropout,
            "attention_dropout": self.attention_dropout,
        }


def first_step(sub: Any, x: str) -> str:
    """The first vector of a sequence."""
    x = sub.add("slice", x, name="first", axis=0, stop=1)
    found: str = sub.add("flatten", x, name="answer")
    return found
