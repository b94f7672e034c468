"""Recurrent classifier of texts and other sequences of ids."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Ge, Lt

from dlrun.graph.architecture import models
from dlrun.models.classifier import Classifier, Positive
from dlrun.models.start import start
from dlrun.models.tokens import Tokens


@models("lstm_classifier")
class LSTMClassifier(Tokens, Classifier):
    """Embedded tokens, read by LSTM layers on top of one another; the last state gives the logits.

    h = the last output of layer ``layers`` within the text, of both ways side by side; logits = W h + b.

    Args:
        vocabulary: Number of ids; the data's when left out.
        padding: Id that fills up short texts, or none: then every step counts.
        units: Length of an embedding.
        state: Length of a layer's state.
        layers: LSTM layers.
        bidirectional: Whether each layer also reads backwards.
        dropout: Share of elements zeroed between layers and before the logits, in training.

    Shapes: (N, L) ids -> (N, classes).
    Weights: ``embedding.table``, ``lstm.layer<i>.*``, ``logits.*``; 2,757,761 for 20,000 ids and one class.
    Errors: vocabulary-missing, classes-missing, wrong-input.
    Differs: nothing.
    Source: Graves & Schmidhuber 2005; sizes of Keras' example "Bidirectional LSTM on IMDB".
    """

    units: Positive = 128
    state: Positive = 64
    layers: Positive = 2
    bidirectional: bool = True
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0

    def expand(self, sub: Any, x: str, classes: int | None) -> str:
        count = self.class_count(classes)
        _, vocabulary = self.ids(sub, x)
        mask = self.mask(sub, x)
        x = sub.add(
            "embedding",
            x,
            name="embedding",
            vocabulary=vocabulary,
            units=self.units,
            padding=self.padding,
            initializer=start("uniform", low=-0.05, high=0.05),
        )
        x = sub.add(
            "recurrent_stack",
            x,
            *mask,
            name="lstm",
            cell="lstm",
            units=self.state,
            layers=self.layers,
            dropout=self.dropout,
            return_sequences=False,
            bidirectional=self.bidirectional,
        )
        if self.dropout:
            x = sub.add("dropout", x, name="dropout", rate=self.dropout)
        logits: str = sub.add("dense", x, name="logits", units=count)
        return logits
