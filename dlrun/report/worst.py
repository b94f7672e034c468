"""The few samples of a split that are worth a look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dlrun.data.source import Signature
from dlrun.report import page
from dlrun.report.image import are_images, thumbnail
from dlrun.report.text import cells

SHOWN = 24
_VALUES = 12


class Worst:
    """The samples with the largest scores, the first of equal ones; ``positions`` and ``details`` go together.

    Args:
        limit: How many are kept.
    """

    def __init__(self, limit: int = SHOWN) -> None:
        self._limit = limit
        self.positions = np.empty(0, np.int64)
        self.scores = np.empty(0)
        self.details: list[tuple[object, ...]] = []

    def add(self, positions: np.ndarray, scores: np.ndarray, details: Callable[[int], tuple[object, ...]]) -> None:
        """Look at more samples; those whose score is not a number are passed over.

        Args:
            positions: Of the samples in their part, int64 (N,).
            scores: float64 (N,).
            details: What is to be kept of the i-th of them.
        """
        kept = np.flatnonzero(~np.isnan(scores))
        kept = kept[np.lexsort((positions[kept], -scores[kept]))][: self._limit]
        self.details += [details(int(i)) for i in kept]
        self.positions = np.concatenate([self.positions, positions[kept]])
        self.scores = np.concatenate([self.scores, scores[kept]])
        order = np.lexsort((self.positions, -self.scores))[: self._limit]
        self.positions, self.scores = self.positions[order], self.scores[order]
        self.details = [self.details[i] for i in order]


@dataclass(frozen=True)
class Shown:
    """How samples are shown.

    Args:
        signature: Of the data.
        stored: Gives samples with values as stored, by position in the part.
        called: Gives a sample's number and its name, where it has one, by position.
    """

    signature: Signature
    stored: Callable[[np.ndarray], np.ndarray]
    called: Callable[[int], tuple[int, str | None]]

    def cards(self, positions: np.ndarray, lines: Sequence[Sequence[str]]) -> str:
        """Samples in a grid, each with lines of text."""
        cards = []
        images = are_images(self.signature)
        for position, own in zip(positions, lines, strict=True):
            sample = self.stored(np.array([position]))[0]
            number, name = self.called(int(position))
            text = [*own, f"sample {number}", *([name] if name else [])]
            if images:
                cards.append(page.image_card(*thumbnail(sample, self.signature), text, f"sample {number}"))
            else:
                cards.append(page.value_card(self._values(sample), text))
        return page.samples(cards)

    def _values(self, sample: np.ndarray) -> str:
        """The first values of a sample, by name where they have names."""
        if self.signature.columns:
            found = cells(self.signature.columns, sample, _VALUES)
        else:
            form = "d" if sample.dtype.kind in "iu" else ".4g"
            found = [format(value, form) for value in np.ravel(sample)[:_VALUES]]
        rest = sample.size - len(found)
        return ", ".join(found) + (f", … {rest:,} more" if rest else "")
