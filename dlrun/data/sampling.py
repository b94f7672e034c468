"""In which order an epoch visits the training samples."""

from __future__ import annotations

import numpy as np

from dlrun.errors import DlrunError
from dlrun.randomness import epoch_order, stream
from dlrun.recipe import Data


def order_of(data: Data, seed: int, epoch: int, y: np.ndarray, ignored: int | None = None) -> np.ndarray:
    """Numbers of training samples, int64 (N,): all of them once, or as many drawn with replacement.

    Args:
        data: How to draw.
        seed: The recipe's.
        epoch: Number of the epoch.
        y: Their class ids (N,); read only for a sampling by class.
        ignored: The label of no class, whose samples such a sampling leaves out, or None.

    Raises:
        DlrunError: ``empty-class`` when a class without samples has a share.
    """
    if data.sampling == "natural":
        return epoch_order(seed, epoch, len(y), data.shuffle)
    stated = None if data.sampling == "balanced" else np.array(data.sampling, np.float64)
    kept = np.flatnonzero(y != ignored) if ignored is not None else np.arange(len(y))
    counts = np.bincount(y[kept], minlength=0 if stated is None else len(stated))
    shares = (counts > 0).astype(np.float64) if stated is None else stated
    if missing := np.flatnonzero((shares > 0) & (counts == 0)).tolist():
        raise DlrunError(
            "empty-class",
            f"`sampling` gives a share to the class {missing[0]}, which has no training sample.",
            path=("data", "sampling"),
            hint="Write 0 for it, or `balanced`.",
        )
    ends = np.cumsum((shares / np.maximum(counts, 1))[y[kept]])
    drawn = stream(seed, "order", epoch).random(len(y)) * ends[-1]
    found = np.searchsorted(ends, drawn, side="right").astype(np.int64)
    return np.asarray(kept[np.minimum(found, len(kept) - 1)])


def visits(order: np.ndarray) -> np.ndarray:
    """How often the order has been at a sample before, int64 (N,) -> int64 (N,)."""
    together = np.argsort(order, kind="stable")
    places = np.arange(len(order))
    begins = np.r_[True, np.diff(order[together]) != 0] if len(order) else np.empty(0, bool)
    found = np.empty(len(order), np.int64)
    found[together] = places - np.maximum.accumulate(np.where(begins, places, 0))
    return found
