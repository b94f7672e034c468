"""Convolutional network for sentences."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Ge, Lt

from dlrun.graph.architecture import models
from dlrun.models.classifier import Classifier, Positive
from dlrun.models.start import start
from dlrun.models.tokens import Tokens

_START = start("uniform", low=-0.25, high=0.25)


@models("text_cnn")
class TextCNN(Tokens, Classifier):
    """Convolutions of several widths over embedded tokens, each reduced to its largest value.

    For each window w, m_w = max over t of relu(W_w * e[t .. t + w - 1] + b_w), with e the embeddings; the m_w side by
    side, dropout, logits.

    Args:
        vocabulary: Number of ids; the data's when left out.
        padding: Id that fills up short texts, or none: then every step counts.
        units: Length of an embedding.
        windows: Tokens that a convolution reads at once.
        filters: Of each window.
        dropout: Share of the features zeroed in training.

    Shapes: (N, L) ids -> (N, classes), L at least the largest window.
    Weights: ``embedding.table``, ``window<w>.kernel``, ``window<w>.bias``, ``logits.*``; beside the table 360,902 for
        two classes.
    Errors: vocabulary-missing, classes-missing, wrong-input, window-too-large.
    Differs: the paper limits the norm of each column of the logits' kernel to 3; say it with `model.constraints`.
    Source: Kim 2014 (CNN-rand).
    """

    units: Positive = 300
    windows: tuple[Positive, ...] = (3, 4, 5)
    filters: Positive = 100
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.5

    def expand(self, sub: Any, x: str, classes: int | None) -> str:
        count = self.class_count(classes)
        _, vocabulary = self.ids(sub, x)
        x = sub.add(
            "embedding",
            x,
            name="embedding",
            vocabulary=vocabulary,
            units=self.units,
            padding=self.padding,
            initializer=_START,
        )
        found = []
        for window in self.windows:
            maps = sub.add("conv1d", x, name=f"window{window}", filters=self.filters, kernel=window, activation="relu")
            found.append(sub.add("global_max_pool1d", maps, name=f"largest{window}"))
        x = sub.add("concat", *found, name="features") if len(found) > 1 else found[0]
        x = sub.add("dropout", x, name="dropout", rate=self.dropout)
        logits: str = sub.add("dense", x, name="logits", units=count)
        return logits
