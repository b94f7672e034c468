"""What a report says of numbers: predicted against true, residuals, the largest errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dlrun.metrics.regression import Explained
from dlrun.report import page
from dlrun.report.classes import called
from dlrun.report.spread import Histogram, Points
from dlrun.report.svg import Drawing, Plane
from dlrun.report.text import number
from dlrun.report.worst import Shown, Worst

_APART, _LISTED, _SAID = 4, 50, 16
"""Up to so many outputs have pictures of their own, rows in a table, their values in lists."""


class Numbers:
    """Compares predicted numbers with true ones; memory does not grow with the number of samples.

    Args:
        outputs: Numbers per sample.
    """

    def __init__(self, outputs: int) -> None:
        self._outputs = outputs
        self._samples = 0
        self._absolute, self._signed = np.zeros(outputs), np.zeros(outputs)
        self._explained = Explained("r2")
        series = outputs if outputs <= _APART else 1
        self._residuals = [Histogram() for _ in range(series)]
        self._points = [Points(outputs // series) for _ in range(series)]
        self.largest = Worst()

    def add(self, positions: np.ndarray, output: np.ndarray, target: np.ndarray) -> list[tuple[int, dict[str, Any]]]:
        """Count a batch; what is predicted of each sample, by position, unless that is too much to be read.

        Shapes: positions (N,), outputs (N, *), targets (N, *).
        """
        x = np.asarray(output, np.float64).reshape(len(positions), -1)
        y = np.asarray(target, np.float64).reshape(x.shape)
        residual = x - y
        self._samples += len(x)
        self._absolute += np.abs(residual).sum(0)
        self._signed += residual.sum(0)
        self._explained.add(x, y)
        for s, (histogram, points) in enumerate(zip(self._residuals, self._points, strict=True)):
            columns = slice(s, s + 1) if len(self._points) > 1 else slice(None)
            ids = positions[:, None] * (self._outputs if len(self._points) == 1 else 1)
            ids = ids + np.arange(x[:, columns].shape[1])
            histogram.add(residual[:, columns].ravel())
            points.add(ids.ravel(), y[:, columns].ravel(), x[:, columns].ravel())
        self.largest.add(positions, np.sqrt((residual**2).mean(1)), lambda i: (y[i].copy(), x[i].copy()))
        if self._outputs > _SAID:
            return []
        return [(int(p), _said(y[i], x[i])) for i, p in enumerate(positions)]

    def summary(self) -> dict[str, float]:
        """Headline figures, by the names that a recipe's ``metrics`` have for them."""
        elements = max(self._samples * self._outputs, 1)
        squared = float(np.sum(self._explained.errors))
        return {
            "mae": float(self._absolute.sum()) / elements,
            "rmse": (squared / elements) ** 0.5,
            **self._explained.result(),
            "mean_residual": float(self._signed.sum()) / elements,
        }

    def per_output(self) -> list[dict[str, Any]]:
        """The same of each output."""
        n = max(self._samples, 1)
        errors, shares = (np.broadcast_to(v, self._outputs) for v in (self._explained.errors, self._explained.shares()))
        return [
            {
                "output": i + 1,
                "mae": float(self._absolute[i]) / n,
                "rmse": float(errors[i] / n) ** 0.5,
                "r2": float(shares[i]),
                "mean_residual": float(self._signed[i]) / n,
            }
            for i in range(self._outputs)
        ]

    def document(self, shown: Shown) -> dict[str, Any]:
        """What ``metrics.json`` says of it."""
        found: dict[str, Any] = {"summary": self.summary()}
        if self._outputs <= _LISTED:
            found["outputs"] = self.per_output()
        found["residuals"] = [
            [{"from": low, "below": high, "count": count} for low, high, count in h.bins()] for h in self._residuals
        ]
        found["largest_errors"] = [
            {**called(shown, int(p)), "root_mean_square_error": float(s), **(_said(y, x) if y.size <= _SAID else {})}
            for p, s, (y, x) in self._largest()
        ]
        return found

    def _largest(self) -> list[tuple[Any, Any, Any]]:
        return list(zip(self.largest.positions, self.largest.scores, self.largest.details, strict=True))

    def pictures(self) -> dict[str, bytes]:
        """SVG files by name."""
        several = len(self._points) > 1
        found = {}
        for i, (points, residuals) in enumerate(zip(self._points, self._residuals, strict=True), 1):
            end, of = (f"_{i}", f", output {i}") if several else ("", "")
            found[f"predictions{end}"] = _scatter(points.pairs, of)
            found[f"residuals{end}"] = _residuals(residuals.bins(), of)
        return found

    def parts(self, pictures: dict[str, bytes], shown: Shown) -> list[str]:
        """Sections of the page."""
        every = self._points[0].every
        some = f" One of {every:,} is shown." if every > 1 else ""
        parts = [page.heading("Predicted and true")]
        captions = {"p": f"On the line: predicted what is true.{some}", "r": "Residual: predicted minus true."}
        names = list(pictures)
        for pair in zip(names[::2], names[1::2], strict=True):
            parts.append(page.beside(page.picture(pictures[name], captions[name[0]]) for name in pair))
        if 1 < self._outputs <= _LISTED:
            rows = self.per_output()
            parts.append(page.table("Each output.", list(rows[0]), [list(r.values()) for r in rows], ()))
        found = self._largest()
        lines = [
            [f"off by {number(float(score))}", f"true {_values(y)}", f"predicted {_values(x)}"]
            for _, score, (y, x) in found
        ]
        first = "The sample" if len(found) == 1 else f"The {len(found)} samples"
        said = "" if self._outputs == 1 else " Off by: the root mean square over outputs."
        return [
            *parts,
            page.heading("Largest errors"),
            page.paragraph(f"{first} with the largest errors.{said}"),
            shown.cards(self.largest.positions, lines),
        ]


def _said(label: np.ndarray, guess: np.ndarray) -> dict[str, Any]:
    if label.size == 1:
        return {"label": float(label[0]), "prediction": float(guess[0])}
    return {"label": label.tolist(), "prediction": guess.tolist()}


def _values(values: np.ndarray) -> str:
    text = ", ".join(f"{v:.5g}" for v in values[:_APART])
    return text + (", …" if values.size > _APART else "")


def _scatter(pairs: np.ndarray, of: str) -> bytes:
    d = Drawing(460, 440, f"Predicted over true values{of}")
    low, high = (float(pairs.min()), float(pairs.max())) if pairs.size else (0.0, 1.0)
    pad = (high - low) * 0.04 or abs(high) * 0.04 or 1.0
    span = (low - pad, high + pad)
    plane = Plane(d, (86, 14, 444, 384), span, span)
    plane.axes(f"true{of}", f"predicted{of}", left_room=70)
    plane_line = [(plane.x(v), plane.y(v)) for v in span]
    for x, y in pairs:
        d.add(f'<circle cx="{plane.x(x):.1f}" cy="{plane.y(y):.1f}" r="2.5" class="point"/>')
    d.line(plane_line, "guide")
    return d.encoded()


def _residuals(bins: Sequence[tuple[float, float, int]], of: str) -> bytes:
    d = Drawing(460, 300, f"Distribution of residuals{of}")
    low, high = (bins[0][0], bins[-1][1]) if len(bins) > 1 else (-1.0, 1.0)
    if len(bins) == 1 and abs(bins[0][0]) > 1e-30:  # all residuals are as good as one
        low, high = sorted((bins[0][0] * 0.5, bins[0][0] * 1.5))
    plane = Plane(d, (86, 14, 444, 246), (low, high), (0, max([1, *(count for _, _, count in bins)])))
    plane.axes(f"residual{of}", "count", left_room=70)
    for start, end, count in bins:
        if count:
            x, wide = plane.x(start), plane.x(end) - plane.x(start)
            tip = f"{start:.4g} to {end:.4g}: {count:,}"
            d.rect(x + 0.3, plane.y(count), max(wide - 0.6, 0.4), plane.bottom - plane.y(count), kind="right", tip=tip)
    if low <= 0 <= high:
        d.line([(plane.x(0), plane.top), (plane.x(0), plane.bottom)], "guide")
    return d.encoded()
