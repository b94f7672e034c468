"""Transformer encoder that classifies texts."""

from __future__ import annotations

from typing import Any, Literal

from dlrun.graph.architecture import models
from dlrun.models.classifier import Classifier
from dlrun.models.transformer import Transformer, first_step


@models("transformer_classifier")
class TransformerClassifier(Transformer, Classifier):
    """Transformer encoder over token ids; one vector for the text gives the logits.

    x = sqrt(units) E[ids] + positions, ``depth`` encoder blocks, the mean (or the largest value) over the steps that
    are not padding, or the first step; dropout; logits.

    Args:
        vocabulary: Number of ids; the data's when left out.
        padding: Id that fills up short texts, or none: then every step counts.
        units: Width.
        depth: Blocks.
        heads: Attention heads.
        feedforward_units: Width inside the feed-forward layers.
        activation: Inside the feed-forward layers.
        norm: Before each branch (``first``) or after each sum (``last``).
        epsilon: That of the norms.
        positions: ``sinusoidal`` or ``learned``.
        dropout: Share zeroed after the positions, at the end of each branch and before the logits, in training.
        attention_dropout: Share of the attention zeroed in training.
        pool: ``mean``, ``max`` or ``first``: what stands for the text.

    Shapes: (N, L) ids -> (N, classes).
    Weights: ``embedding.table``, ``positions.table`` where learned, ``encoder.block<i>.*``, ``encoder.final_norm.*``
        where the norms come first, ``logits.*``; beside embedding and logits 18,914,304.
    Errors: vocabulary-missing, classes-missing, wrong-input, heads-not-dividing, unknown-activation.
    Differs: nothing.
    Source: Vaswani et al. 2017 (the encoder of the base model).
    """

    pool: Literal["mean", "max", "first"] = "mean"

    def expand(self, sub: Any, x: str, classes: int | None) -> str:
        count = self.class_count(classes)
        _, vocabulary = self.ids(sub, x)
        mask = self.mask(sub, x)
        x = self.place(sub, self.embed(sub, x, vocabulary))
        x = sub.add("transformer_encoder", x, *mask, name="encoder", **self.stack_fields())
        if self.pool == "first":
            x = first_step(sub, x)
        else:
            kind = {"mean": "global_avg_pool1d", "max": "global_max_pool1d"}[self.pool]
            x = sub.add(kind, x, *mask, name="answer")
        if self.dropout:
            x = sub.add("dropout", x, name="last_dropout", rate=self.dropout)
        logits: str = sub.add("dense", x, name="logits", units=count)
        return logits
