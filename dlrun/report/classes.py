"""What a report says of class ids: one for each sample, or one for each place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dlrun.data.wording import counted
from dlrun.metrics.calibration import CalibrationError, LogLikelihood, Reliability, confidences
from dlrun.metrics.confusion import Confusion, predicted
from dlrun.metrics.metric import Metric, metrics
from dlrun.report import figures, page
from dlrun.report.text import percent
from dlrun.report.worst import Shown, Worst

_SUMMARY = ("accuracy", "balanced_accuracy", "f1", "matthews")
_DENSE = 100
"""Up to so many classes ``metrics.json`` has the whole confusion matrix."""
_LISTED, _TABLE = 20, 50


class Classes:
    """Counts what a model predicts; memory does not grow with the number of samples.

    Args:
        names: One per class.
        chosen: The recipe's metrics.
        places: Whether there is a class for each place of a sample, and not one for the sample.
        ignored: The class id of places that do not count, or None.
    """

    def __init__(
        self, names: Sequence[str], chosen: Sequence[Metric], places: bool = False, ignored: int | None = None
    ) -> None:
        self.names = tuple(names)
        self.places = places
        self.what = "places" if places else "samples"
        self._ignored = ignored
        bins = next((m.bins for m in chosen if isinstance(m, CalibrationError)), CalibrationError().bins)
        self._confusion = Confusion(len(names))
        self._reliability, self._spread = Reliability(bins), Reliability(20)
        self._likelihood = LogLikelihood("log_loss")
        self.mistakes = Worst()

    @property
    def matrix(self) -> np.ndarray:
        """Counts of (label, prediction), int64 (C, C)."""
        return self._confusion.matrix

    def add(self, positions: np.ndarray, output: np.ndarray, target: np.ndarray) -> list[tuple[int, dict[str, Any]]]:
        """Count a batch; what is predicted of each sample, by position, where that is one class.

        Shapes: positions (N,), logits (N, *, C), (N, *, 1) or (N, *), class ids (N, *).
        """
        single = output.size == target.size
        logits, ids = output.reshape(-1) if single else output.reshape(-1, output.shape[-1]), target.reshape(-1)
        if self._ignored is not None:
            kept = ids != self._ignored
            logits, ids, positions = logits[kept], ids[kept], positions if self.places else positions[kept]
        guess, confidence = predicted(logits), confidences(logits)
        self._confusion.add(logits, ids)
        self._likelihood.add(logits, ids)
        for bins in (self._reliability, self._spread):
            bins.count(confidence, guess == ids)
        if self.places:
            return []
        wrong = np.flatnonzero(guess != ids)
        self.mistakes.add(positions[wrong], confidence[wrong], lambda i: (int(ids[wrong[i]]), int(guess[wrong[i]])))
        each = zip(positions, ids, guess, confidence, strict=True)
        return [(int(at), self._said(int(y), int(p), float(c))) for at, y, p, c in each]

    def _said(self, label: int, guess: int, confidence: float) -> dict[str, Any]:
        return {
            "label": label,
            "label_name": self.names[label],
            "prediction": guess,
            "prediction_name": self.names[guess],
            "confidence": confidence,
        }

    def summary(self) -> dict[str, float]:
        """Headline figures, by the names that a recipe's ``metrics`` have for them."""
        found: dict[str, float] = {}
        for name in (*_SUMMARY, "iou") if self.places else _SUMMARY:
            found.update(self._of_matrix(name))
        return {**found, "calibration_error": self._reliability.error(), **self._likelihood.result()}

    def _of_matrix(self, name: str) -> dict[str, float]:
        if name == "accuracy":
            total = int(self.matrix.sum())
            return {name: int(np.trace(self.matrix)) / total if total else 0.0}
        accumulator = metrics.get(name)().start(len(self.names))
        assert isinstance(accumulator, Confusion)
        accumulator.matrix = self.matrix
        return accumulator.result()

    def per_class(self) -> list[dict[str, Any]]:
        """Figures of each class; None where there is nothing to divide by."""
        hits, labels, guesses = np.diagonal(self.matrix), self.matrix.sum(1), self.matrix.sum(0)
        rows = []
        for i, name in enumerate(self.names):
            tp, support, given = int(hits[i]), int(labels[i]), int(guesses[i])
            row: dict[str, Any] = {"class": i, "name": name}
            row["precision"] = tp / given if given else None
            row["recall"] = tp / support if support else None
            row["f1"] = 2 * tp / (support + given) if support + given else None
            if self.places:
                row["iou"] = tp / (support + given - tp) if support + given else None
            rows.append({**row, "support": support, "predicted": given})
        return rows

    def confusions(self) -> list[dict[str, Any]]:
        """Every pair of classes that was confused, the most frequent first."""
        wrong = self.matrix.copy()
        np.fill_diagonal(wrong, 0)
        pairs = np.argwhere(wrong)
        counts = wrong[tuple(pairs.T)]
        of = self.matrix.sum(1)
        return [
            {
                "label": int(a),
                "label_name": self.names[a],
                "prediction": int(b),
                "prediction_name": self.names[b],
                "count": int(wrong[a, b]),
                "share_of_label": float(wrong[a, b] / of[a]),
            }
            for a, b in pairs[np.argsort(-counts, kind="stable")]
        ]

    def document(self, shown: Shown) -> dict[str, Any]:
        """What ``metrics.json`` says of it."""
        bins = self._reliability
        found: dict[str, Any] = {"summary": self.summary(), "classes": self.per_class()}
        if len(self.names) <= _DENSE:
            found["confusion_matrix"] = self.matrix.tolist()
        found["confusions"] = self.confusions()
        found["calibration"] = [
            {
                "above": float(bins.edges[i]),
                "up_to": float(bins.edges[i + 1]),
                "samples": int(n),
                "accuracy": float(bins.hits[i] / n) if n else None,
                "confidence": float(bins.confidence[i] / n) if n else None,
            }
            for i, n in enumerate(bins.samples)
        ]
        if not self.places:
            found["mistakes"] = [
                {**called(shown, int(position)), **self._said(label, guess, float(score))}
                for position, score, (label, guess) in self._mistakes()
            ]
        return found

    def _mistakes(self) -> list[tuple[Any, Any, Any]]:
        return list(zip(self.mistakes.positions, self.mistakes.scores, self.mistakes.details, strict=True))

    def pictures(self) -> dict[str, bytes]:
        """SVG files by name."""
        return {
            "confusion_matrix": figures.confusion(self.matrix, self.names),
            "reliability": figures.reliability(self._reliability, self.what),
            "confidence": figures.confidence(self._spread, self.what),
        }

    def parts(self, pictures: dict[str, bytes], shown: Shown) -> list[str]:
        """Sections of the page."""
        return [
            page.heading("Classes"),
            *self._class_tables(),
            page.heading("Confusion matrix"),
            page.beside([page.picture(pictures["confusion_matrix"], self._caption()), self._confusion_table()]),
            *([] if self.places else self._mistakes_section(shown)),
            page.heading("Calibration"),
            page.paragraph(
                f"Expected calibration error: {self._reliability.error():.4f}, with {len(self._reliability.samples)} "
                "bins. A model that is as often right as it is confident has its bars end at the diagonal."
            ),
            page.beside(
                [
                    page.picture(
                        pictures["reliability"],
                        f"Bars: accuracy of each bin; dots: its mean confidence. Below: {self.what} in each bin.",
                    ),
                    page.picture(
                        pictures["confidence"], f"Probability of the predicted class, {self.what} in 20 bins."
                    ),
                ]
            ),
        ]

    def _class_tables(self) -> list[str]:
        rows = self.per_class()
        columns = [c for c in rows[0] if c not in ("class", "name")] if rows else []
        words = ("class",)

        def table(caption: str, chosen: Sequence[dict[str, Any]]) -> str:
            cells = [[row["name"], *(row[c] for c in columns)] for row in chosen]
            return page.table(caption, ["class", *columns], cells, words)

        said = f"Support: {self.what} that belong to the class. –: nothing to divide by."
        if len(rows) <= _TABLE:
            return [table(said, rows)]
        seen = [row for row in rows if row["f1"] is not None]
        worst = sorted(seen, key=lambda row: row["f1"])[:_LISTED]
        return [
            table(f"The {len(worst)} classes with the lowest F1. {said}", worst),
            page.folded(f"All {len(rows):,} classes", table(said, rows)),
        ]

    def _caption(self) -> str:
        text = "Blue: right, orange: wrong; the deeper, the larger the share of the row."
        return text if len(self.names) <= figures.NAMED else f"{text} Classes are numbered from 0."

    def _confusion_table(self) -> str:
        found = self.confusions()
        if not found:
            return page.paragraph("No class was taken for another." if self.matrix.any() else "Nothing was counted.")
        columns = ["label", "prediction", "count", "share of label"]
        rows = [
            [c["label_name"], c["prediction_name"], c["count"], percent(c["share_of_label"])] for c in found[:_LISTED]
        ]
        said = f"The {len(rows)} most frequent of {len(found):,} confusions." if len(found) > _LISTED else "Confusions."
        return page.table(said, columns, rows, ("label", "prediction"))

    def _mistakes_section(self, shown: Shown) -> list[str]:
        found = self._mistakes()
        total = int(self.matrix.sum() - np.trace(self.matrix))
        if not found:
            return [page.heading("Mistakes"), page.paragraph("There are none.")]
        lines = [
            [f"{self.names[label]} taken for {self.names[guess]}", f"confidence {percent(float(score))}"]
            for _, score, (label, guess) in found
        ]
        whole = counted(int(self.matrix.sum()), "sample")
        if total == 1:
            said = f"1 of {whole} is predicted wrong."
        else:
            order = f"the {len(found)} that the model was surest of" if len(found) < total else "the surest come first"
            said = f"{total:,} of {whole} are predicted wrong; {order}:"
        return [
            page.heading("Most confident mistakes"),
            page.paragraph(said),
            shown.cards(self.mistakes.positions, lines),
        ]


def called(shown: Shown, position: int) -> dict[str, Any]:
    """A sample's number, and its name where it has one."""
    number, name = shown.called(position)
    return {"sample": number} if name is None else {"sample": number, "name": name}
