"""Everything a backend needs to build and run a model; valid by construction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dlrun.data.source import Signature
from dlrun.graph import Graph
from dlrun.initializers import initialize
from dlrun.recipe import Recipe


@dataclass(frozen=True)
class Plan:
    """A resolved recipe.

    Args:
        recipe: The typed recipe.
        signature: What is known of the data.
        graph: The model.
        affine: Preprocessing as (multiplier, offset) per channel, float64.
        train_samples: Samples left for training after the validation split.
        validation_samples: Samples held out.
        steps_per_epoch: Updates per epoch, after ``train.limit_batches``.
    """

    recipe: Recipe
    signature: Signature
    graph: Graph
    affine: tuple[np.ndarray, np.ndarray]
    train_samples: int
    validation_samples: int
    steps_per_epoch: int

    @property
    def total_steps(self) -> int:
        """Updates of the whole run."""
        return self.steps_per_epoch * self.recipe.train.epochs

    @property
    def array_dtype(self) -> str:
        """numpy dtype of weights and preprocessed samples: float64 or float32."""
        return "float64" if self.recipe.precision == "float64" else "float32"

    def initial_weights(self) -> dict[str, np.ndarray]:
        """Every weight at the start, by canonical name, in canonical layout."""
        return {
            name: initialize(w.initializer, w.shape, self.recipe.seed, name).astype(self.array_dtype)
            for name, w in self.graph.weights()
        }
