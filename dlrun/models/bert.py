"""BERT."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt

from dlrun.errors import DlrunError
from dlrun.graph.architecture import models
from dlrun.models.classifier import Classifier, Positive
from dlrun.models.start import TRUNCATED
from dlrun.models.tokens import Tokens
from dlrun.models.transformer import first_step

Rate = Annotated[float, Ge(0), Lt(1)]


@models("bert")
class BERT(Tokens, Classifier):
    """BERT: an encoder of whole texts, read at its first token.

    x = dropout(norm(E[ids] + P[position] + S[segment])), ``depth`` encoder blocks with GELU and the norms last; the
    pooler, a dense layer with the hyperbolic tangent, reads the first step; dropout and the logits follow.

    Args:
        vocabulary: Number of ids; 30,522 as published.
        padding: Id that fills up short texts, or none: then every step counts.
        units: Width.
        depth: Blocks.
        heads: Attention heads.
        feedforward_units: Width inside the feed-forward layers.
        length: Positions that can be told apart, at least the text's length.
        segments: Kinds of segments, 2 as published; then the input is the ids followed by as many segment numbers.
            With 0 the input is the ids alone.
        answer: ``classes``, ``pooled`` (what the pooler gives) or ``sequence`` (the last block's output; no pooler).
        epsilon: That of the norms.
        dropout: Share zeroed after the embeddings, at the end of each branch and before the logits, in training.
        attention_dropout: Share of the attention zeroed in training.

    Shapes: (N, L) ids, or (N, 2 L) with segments -> (N, classes), (N, units) or (N, L, units).
    Weights: ``embedding.table``, ``positions.table``, ``segments.table``, ``norm.*``, ``encoder.block<i>.*``,
        ``pooler.*``, ``logits.*``; 109,482,240 (base) with two segments and ``answer: pooled``.
    Errors: vocabulary-missing, classes-missing, wrong-input, odd-length, length-too-small, heads-not-dividing.
    Differs: nothing.
    Source: Devlin, Chang, Lee & Toutanova 2018.
    """

    vocabulary: Positive | None = 30522
    units: Positive = 768
    depth: Positive = 12
    heads: Positive = 12
    feedforward_units: Positive = 3072
    length: Positive = 512
    segments: Annotated[int, Ge(0)] = 0
    answer: Literal["classes", "pooled", "sequence"] = "classes"
    epsilon: Annotated[float, Gt(0)] = 1e-12
    dropout: Rate = 0.1
    attention_dropout: Rate = 0.1

    def expand(self, sub: Any, x: str, classes: int | None) -> str:
        count = self.class_count(classes) if self.answer == "classes" else 0
        found, vocabulary = self.ids(sub, x)
        ids, *rest = self._halves(sub, x, found.shape[0]) if self.segments else (x,)
        mask = self.mask(sub, ids)
        x = sub.add(
            "embedding",
            ids,
            name="embedding",
            vocabulary=vocabulary,
            units=self.units,
            padding=self.padding,
            initializer=TRUNCATED,
        )
        for segments in rest:
            kinds = sub.add(
                "embedding",
                segments,
                name="segments",
                vocabulary=self.segments,
                units=self.units,
                initializer=TRUNCATED,
            )
            x = sub.add("add", x, kinds, name="kinds")
        x = sub.add("learned_position", x, name="positions", length=self.length, initializer=TRUNCATED)
        x = self._dropped(sub, sub.add("layer_norm", x, name="norm", epsilon=self.epsilon), "dropout")
        x = sub.add(
            "transformer_encoder",
            x,
            *mask,
            name="encoder",
            layers=self.depth,
            heads=self.heads,
            feedforward_units=self.feedforward_units,
            activation="gelu",
            norm="last",
            epsilon=self.epsilon,
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
            kernel_initializer=TRUNCATED,
        )
        if self.answer == "sequence":
            return x
        x = first_step(sub, x)
        x = sub.add("dense", x, name="pooler", units=self.units, activation="tanh", kernel_initializer=TRUNCATED)
        if self.answer == "pooled":
            return x
        x = self._dropped(sub, x, "last_dropout")
        logits: str = sub.add("dense", x, name="logits", units=count, kernel_initializer=TRUNCATED)
        return logits

    def _halves(self, sub: Any, x: str, length: int) -> tuple[str, str]:
        """The ids, and the number of each one's segment."""
        if length % 2:
            raise DlrunError(
                "odd-length",
                f"`segments: {self.segments}` needs ids and as many segment numbers; the input's length is {length}.",
                path=("segments",),
                hint="Use `segments: 0` when the input is the ids alone.",
            )
        return sub.add("slice", x, name="ids", stop=length // 2), sub.add("slice", x, name="kind", start=length // 2)

    def _dropped(self, sub: Any, x: str, name: str) -> str:
        return sub.add("dropout", x, name=name, rate=self.dropout) if self.dropout else x
