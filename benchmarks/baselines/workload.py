"""What every baseline shares with dlrun: the samples, the models' sizes, and how epochs are timed.

Not timed: loading, building, compiling, and the first ``WARM`` epochs. Timed: the epochs after
them, each with its validation accuracy on the same 5,000 samples.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, field

import numpy as np

BATCH = 128
EVAL_BATCH = 1000
RATE = 1e-3
WARM = 2
RECIPES = {"mlp": "mnist_mlp", "cnn": "mnist"}


@dataclass(frozen=True)
class Samples:
    """MNIST as dlrun prepares it: x float32 (N, 28, 28, 1), y int64 (N,), validation held out."""

    x: np.ndarray
    y: np.ndarray
    x_val: np.ndarray
    y_val: np.ndarray


def arguments() -> argparse.Namespace:
    """``model``, ``--epochs`` and ``--batches`` (updates per epoch at most)."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", choices=RECIPES)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batches", type=int, default=None)
    return parser.parse_args()


def load(model: str, batches: int | None) -> Samples:
    """The recipe's own samples; an epoch is cut to ``batches`` updates by keeping fewer of them."""
    from dlrun.config import compose
    from dlrun.data.feed import Feed

    feed = Feed(compose([f"recipe={RECIPES[model]}"]).plan)
    kept = None if batches is None else batches * BATCH
    x_val, y_val = feed.validation()
    return Samples(feed.x[:kept], feed.y[:kept], x_val, y_val)


@dataclass
class Stopwatch:
    """Call ``epoch`` after each epoch's validation; ``report`` prints one JSON line."""

    samples: int
    ends: list[float] = field(default_factory=list)
    accuracy: float = 0.0

    def epoch(self, accuracy: float) -> None:
        """An epoch and its validation are over."""
        self.ends.append(time.perf_counter())
        self.accuracy = accuracy

    def report(self, name: str) -> None:
        """Samples per second over all epochs after the warm ones."""
        timed = len(self.ends) - WARM
        assert timed > 0, f"needs more than {WARM} epochs"
        seconds = self.ends[-1] - self.ends[WARM - 1]
        rate = timed * self.samples / seconds
        print(json.dumps({"name": name, "samples_per_s": rate, "epochs": timed, "val_accuracy": self.accuracy}))
