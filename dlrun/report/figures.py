"""The pictures of a report of classes: confusion matrix, reliability diagram, distribution of confidence."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np

from dlrun.metrics.calibration import Reliability
from dlrun.report.image import png
from dlrun.report.svg import BLUE, ORANGE, Drawing, Plane
from dlrun.report.text import number, percent, shortened, width

NUMBERED = 24
"""Up to so many classes cells hold counts."""
NAMED = 60
"""Up to so many classes rows and columns have names."""
_LABEL = 14.0


def confusion(matrix: np.ndarray, names: Sequence[str]) -> bytes:
    """A confusion matrix: rows are labels, columns predictions; a cell is coloured by its share of the row.

    Args:
        matrix: Counts, int64 (C, C).
        names: One per class.
    """
    classes = len(matrix)
    named, cell = classes <= NAMED, max(2.0, min(44.0, 900 / classes)) if classes <= NAMED else max(1.0, 640 / classes)
    short = [shortened(name, _LABEL) for name in names] if named else []
    longest = max((width(s) * (12 if cell >= 14 else 10) for s in short), default=48.0)
    upright = not named or longest > cell - 4  # names that are wider than a column are turned
    side, left, top = cell * classes, longest + 40, (longest if upright else 0) + 40
    d = Drawing(max(left + side + 12, 300), top + side + 14, "Confusion matrix: labels down, predictions across")
    d.text(left + side / 2, 16, "prediction")
    d.text(14, top + side / 2, "label", turn=-90)
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    if named:
        _cells(d, matrix, shares, names, (left, top, cell))
        kind = "" if cell >= 14 else "small"
        for i, name in enumerate(short):
            middle = (i + 0.5) * cell + 4
            d.text(left - 6, top + middle, name, anchor="end", kind=kind, full=names[i])
            if upright:
                d.text(left + middle, top - 6, name, anchor="start", turn=-90, kind=kind, full=names[i])
            else:
                d.text(left + middle - 4, top - 6, name, kind=kind, full=names[i])
    else:
        d.add(_pixels(shares, left, top, side))
        step = 10 ** max(1, len(str(classes - 1)) - 1)
        for i in range(0, classes, step if classes / step > 3 else step // 2):
            d.text(left - 6, top + (i + 0.5) * cell + 4, str(i), anchor="end", kind="soft small")
            d.text(left + (i + 0.5) * cell + 4, top - 6, str(i), anchor="start", turn=-90, kind="soft small")
    d.add(f'<rect x="{left:.1f}" y="{top:.1f}" width="{side:.1f}" height="{side:.1f}" class="axis"/>')
    return d.encoded()


def _cells(
    d: Drawing,
    matrix: np.ndarray,
    shares: np.ndarray,
    names: Sequence[str],
    place: tuple[float, float, float],
) -> None:
    left, top, cell = place
    numbered = len(matrix) <= NUMBERED
    kind = "small" if cell < 34 or matrix.max(initial=0) > 9999 else ""
    for row, column in np.argwhere(matrix):
        count, share = int(matrix[row, column]), float(shares[row, column])
        x, y, deep = left + column * cell, top + row * cell, _depth(share)
        fill = f' fill="{BLUE if row == column else ORANGE}" fill-opacity="{deep:.3f}"'
        tip = f"{names[row]} → {names[column]}: {count:,} ({percent(share)})"
        d.rect(x, y, cell, cell, fill=fill, tip=tip)
        if numbered:
            text = f"{count:,}" if count < 100_000 else f"{count:.1e}"
            d.text(x + cell / 2, y + cell / 2 + 4, text, kind=f"{kind} {'on' if deep > 0.75 else ''}".strip())


def _pixels(shares: np.ndarray, left: float, top: float, side: float) -> str:
    """The matrix as one picture, a pixel for each cell; what is empty is transparent."""
    image = np.zeros((*shares.shape, 4), np.uint8)
    for colour, where in ((ORANGE, ~np.eye(len(shares), dtype=bool)), (BLUE, np.eye(len(shares), dtype=bool))):
        image[where, :3] = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    image[..., 3] = np.round(_depth(shares) * 255)
    data = base64.b64encode(png(image)).decode()
    return (
        f'<image x="{left:.1f}" y="{top:.1f}" width="{side:.1f}" height="{side:.1f}" '
        f'style="image-rendering:pixelated" href="data:image/png;base64,{data}"/>'
    )


def _depth(share: np.ndarray | float) -> np.ndarray | float:
    """How deep a cell's colour is: a few mistakes among many samples are to be seen too."""
    return np.where(np.asarray(share) > 0, 0.12 + 0.88 * np.sqrt(share), 0.0)


def reliability(found: Reliability, name: str = "samples") -> bytes:
    """A reliability diagram: accuracy over confidence, with the number of samples of each bin below."""
    d = Drawing(440, 470, "Reliability diagram: accuracy over confidence")
    plane = Plane(d, (62, 16, 424, 330), (0, 1), (0, 1))
    plane.axes("", "accuracy")
    counts = Plane(d, (62, 356, 424, 426), (0, 1), (0, max(int(found.samples.max(initial=0)), 1)))
    for i in np.flatnonzero(found.samples):
        low, high, n = found.edges[i], found.edges[i + 1], int(found.samples[i])
        accuracy, mean = found.hits[i] / n, found.confidence[i] / n
        wide = plane.x(high) - plane.x(low)
        tip = (
            f"{percent(low)} to {percent(high)}: {n:,} {name}, accuracy {percent(accuracy)}, confidence {percent(mean)}"
        )
        d.rect(plane.x(low) + 0.5, plane.y(accuracy), wide - 1, plane.bottom - plane.y(accuracy), kind="right", tip=tip)
        d.line([(plane.x(mean), plane.y(accuracy)), (plane.x(mean), plane.y(mean))], "guide")
        d.add(f'<circle cx="{plane.x(mean):.1f}" cy="{plane.y(accuracy):.1f}" r="3.5" class="wrong"/>')
        d.rect(counts.x(low) + 0.5, counts.y(n), wide - 1, counts.bottom - counts.y(n), kind="soft", tip=tip)
    d.line([(plane.x(0), plane.y(0)), (plane.x(1), plane.y(1))], "guide")
    d.line([(62, 426), (424, 426)], "axis")
    d.text(243, 462, "confidence")
    d.text(16, 391, name, turn=-90)
    d.text(56, 362, number(int(found.samples.max(initial=0))), anchor="end", kind="soft small")
    for value in (0, 0.2, 0.4, 0.6, 0.8, 1):
        d.text(plane.x(value), 442, f"{value:g}", kind="soft")
    return d.encoded()


def confidence(found: Reliability, name: str = "samples") -> bytes:
    """How confident the model is where it is right, and where it is wrong."""
    d = Drawing(560, 300, "Distribution of confidence, of right and wrong predictions")
    highest = max(int(found.samples.max(initial=0)), 1)
    plane = Plane(d, (78, 34, 544, 246), (0, 1), (0, highest))
    plane.axes("confidence", name, left_room=62)
    for i in np.flatnonzero(found.samples):
        low, high, n, hits = found.edges[i], found.edges[i + 1], int(found.samples[i]), int(found.hits[i])
        x, wide = plane.x(low) + 0.5, plane.x(high) - plane.x(low) - 1
        tip = f"{percent(low)} to {percent(high)}: {hits:,} right, {n - hits:,} wrong"
        middle = plane.y(n - hits)
        d.rect(x, middle, wide, plane.bottom - middle, kind="wrong", tip=tip)
        d.rect(x, plane.y(n), wide, middle - plane.y(n), kind="right", tip=tip)
    for x, kind, said in ((330, "right", "right"), (420, "wrong", "wrong (below)")):
        d.rect(x, 10, 12, 12, kind=kind)
        d.text(x + 18, 20, said, anchor="start")
    return d.encoded()
