"""The learning-curve picture of a run."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from dlrun.files import write_atomic


def draw_curve(path: Path, records: list[dict[str, Any]], monitor: str, title: str) -> None:
    """Draw loss and the monitored metric over updates as an SVG.

    Args:
        path: The file to write.
        records: Lines of ``metrics.jsonl``.
        monitor: The metric drawn beside the loss.
        title: Heading.
    """
    import matplotlib

    matplotlib.rcParams["svg.hashsalt"] = "dlrun"
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    steps = [r for r in records if r["kind"] == "steps"]
    epochs = [r for r in records if r["kind"] == "epoch"]
    left.plot(
        [r["step"] for r in steps], [r["loss"] for r in steps], color="0.75", lw=1, label="training, 50-step mean"
    )
    left.plot(
        [r["step"] for r in epochs], [r["train_loss"] for r in epochs], "o-", color="C0", ms=3, label="training, epoch"
    )
    if any("val_loss" in r for r in epochs):
        left.plot(
            [r["step"] for r in epochs], [r.get("val_loss") for r in epochs], "o-", color="C1", ms=3, label="validation"
        )
    left.set(xlabel="updates", ylabel="loss", yscale="log" if _positive(steps, epochs) else "linear")
    left.legend(frameon=False, fontsize=8)
    key = f"val_{monitor}"
    if any(isinstance(r.get(key), int | float) for r in epochs):
        right.plot(*_series(epochs, key), "o-", color="C1", ms=3)
        right.set(xlabel="updates", ylabel=key)
    else:
        right.plot(*_series(steps, "learning_rate"), color="C2")
        right.set(xlabel="updates", ylabel="learning rate")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    figure.suptitle(title, fontsize=10)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    write_atomic(path, buffer.getvalue())


def _series(records: list[dict[str, Any]], key: str) -> tuple[list[int], list[float]]:
    shown = [r for r in records if isinstance(r.get(key), int | float)]
    return [r["step"] for r in shown], [r[key] for r in shown]


def _positive(steps: list[dict[str, Any]], epochs: list[dict[str, Any]]) -> bool:
    return all(r["loss"] > 0 for r in steps) and all(r["train_loss"] > 0 for r in epochs)
