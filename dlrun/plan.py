"""Everything a backend needs to build and run a model; valid by construction."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dlrun.data.pipeline import Pipeline
from dlrun.data.preprocessing import Preprocessing
from dlrun.data.source import Signature
from dlrun.data.transforms import Transform, combined
from dlrun.graph import Graph, Node, TensorType, Weight
from dlrun.initializers import fans, initialize
from dlrun.recipe import Recipe
from dlrun.update import Update, updates


@dataclass(frozen=True)
class Plan:
    """A resolved recipe.

    Args:
        recipe: The typed recipe.
        signature: What is known of the data.
        graph: The model.
        train_samples: Samples left for training after the validation split.
        validation_samples: Samples held out.
        steps_per_epoch: Updates per epoch, after ``train.limit_batches``.
    """

    recipe: Recipe
    signature: Signature
    graph: Graph
    train_samples: int
    validation_samples: int
    steps_per_epoch: int

    @cached_property
    def pipeline(self) -> Pipeline:
        """From stored samples to what the model reads; the recipe's transforms must be fitted."""
        return Pipeline(
            self.recipe.seed,
            self.recipe.data.augment,
            self.preprocessing,
            self.input_dtype,
            self.array_dtype,
            self.signature.classes if self.mixes else None,
            self.signature.top,
        )

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """What is done to every value; the recipe's transforms must be fitted."""
        signature = self.signature
        return combined(self.recipe.data.preprocess, signature.scale, signature.numbers)

    @property
    def mixes(self) -> bool:
        """Whether training mixes samples, so that its labels are shares of classes."""
        return any(augmentation.mixes for augmentation in self.recipe.data.augment)

    @property
    def train_target(self) -> TensorType:
        """Type of one label in training."""
        if not self.mixes:
            return self.signature.target
        assert self.signature.classes is not None
        return TensorType((self.signature.classes,))

    @property
    def total_steps(self) -> int:
        """Updates of the whole run."""
        return self.steps_per_epoch * self.recipe.train.epochs

    @property
    def outputs(self) -> tuple[str, ...]:
        """The model's outputs under the names that the recipe gives them; the answer comes first."""
        return self.recipe.model.outputs or self.graph.outputs

    @property
    def array_dtype(self) -> str:
        """numpy dtype of weights and outputs: float64 or float32."""
        return "float64" if self.recipe.precision == "float64" else "float32"

    @property
    def input_dtype(self) -> str:
        """numpy dtype of the samples that the model reads: int64 for ids, else as ``array_dtype``."""
        return "int64" if self.graph.input.dtype == "int" else self.array_dtype

    def with_preprocess(self, chain: tuple[Transform, ...]) -> Plan:
        """The same plan with these transforms of values."""
        data = dataclasses.replace(self.recipe.data, preprocess=chain)
        return dataclasses.replace(self, recipe=dataclasses.replace(self.recipe, data=data))

    def check_labels(self, y: np.ndarray) -> None:
        """Raise DlrunError, ``label-out-of-range``, unless what is minimised can read these labels (N, *)."""
        outputs = dict(zip(self.outputs, self.graph.output_types, strict=True))
        loss, phases = self.recipe.loss, self.recipe.train.phases
        for read in [phase.minimised for phase in phases] if loss is None else [loss]:
            read.check_labels(outputs, y)

    def initial_weights(self) -> dict[str, np.ndarray]:
        """Every weight at the start, by canonical name, in canonical layout."""
        return {
            f"{node.name}.{w.name}": self._initial(node, w).astype(self.array_dtype)
            for node in self.graph.nodes
            for w in node.weights
        }

    def _initial(self, node: Node, weight: Weight) -> np.ndarray:
        kernel = next((w for w in node.weights if w.name == weight.name.replace("bias", "kernel")), weight)
        return initialize(
            weight.initializer,
            weight.shape,
            self.recipe.seed,
            f"{node.name}.{weight.name}",
            weight.fans,
            kernel.fans or fans(kernel.shape),
        )

    def updates(self) -> dict[str, Update]:
        """How each trained weight is updated, by canonical name, in graph order."""
        return updates(self.recipe, self.graph)
