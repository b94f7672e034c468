"""The picture of a comparison: both loss curves, and how far they are apart."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any


def draw(panels: Sequence[Mapping[str, Any]], title: str) -> bytes:
    """An SVG with a row per panel: losses on the left, differences on the right.

    Args:
        panels: Each with ``name``, ``steps``, ``losses`` (label -> values), ``difference``, and perhaps
            ``noise`` (values) and ``limits`` ((updates, limit), ...).
        title: Heading.
    """
    import matplotlib

    matplotlib.rcParams["svg.hashsalt"] = "dlrun"
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 0.6 + 3 * len(panels)), layout="constrained")
    rows = figure.subplots(len(panels), 2, squeeze=False)
    for (left, right), panel in zip(rows, panels, strict=True):
        steps = panel["steps"]
        for i, (label, values) in enumerate(panel["losses"].items()):
            left.plot(steps, values, ("-", "--")[i % 2], color=f"C{i}", lw=1.5, label=label)
        left.set(xlabel="updates", ylabel=f"loss ({panel['name']})")
        left.legend(frameon=False, fontsize=8)
        _log(right, steps, panel["difference"], color="C3", label="difference of the two, largest so far")
        if panel.get("noise") is not None:
            _log(right, steps, panel["noise"], color="0.6", label="own noise")
        begin = 0
        for end, limit in panel.get("limits", ()):
            right.plot([begin, end], [limit, limit], ":", color="k", lw=1, label=None if begin else "allowed")
            begin = end
        right.set(xlabel="updates", ylabel="relative difference of losses", yscale="log")
        right.legend(frameon=False, fontsize=8)
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(alpha=0.25)
    figure.suptitle(title, fontsize=10)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _log(axes: Any, steps: Sequence[int], values: Sequence[float], *, color: str, label: str) -> None:
    """The largest value so far, from where it is not zero on: a logarithmic axis has no place for zero."""
    so_far = list(accumulate(values, max))
    axes.plot(steps, [v if 0 < v < math.inf else math.nan for v in so_far], color=color, lw=1.2, label=label)
