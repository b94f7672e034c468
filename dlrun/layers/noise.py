"""Numbers that a model draws for itself."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Gt

from dlrun.graph.layer import Example, Layer, layers, require_float
from dlrun.graph.tensor import TensorType
from dlrun.randomness import derive, normal_noise, step_key

ROWS = 256
"""How many vectors evaluation knows."""


def evaluation_rows(name: str, units: int) -> np.ndarray:
    """What the layer ``name`` gives the samples of a batch in evaluation, in turn: float64 (ROWS, units)."""
    return normal_noise(step_key(derive(0, "evaluation", name), 0), (ROWS, units))


@layers("normal_noise")
class NormalNoise(Layer):
    """Numbers from the unit normal distribution for each sample: what a generator makes images of.

    y = z, with z drawn for each number and sample. In training z is a function of (seed, layer, step) only; with
    `train.portable_dropout` it is the same on every backend. In evaluation a batch gets the same 256 vectors in turn,
    on every backend alike, so that pictures made after each epoch can be compared.

    Args:
        units: How many numbers for each sample.

    Shapes: (N, *) -> (N, units); the input tells N alone.
    Weights: none.
    Errors: wrong-dtype.
    Differs: neither framework has such a layer; z is drawn outside of the model there.
    Source: Goodfellow et al. 2014.
    """

    units: Annotated[int, Gt(0)]

    examples = (
        Example({"units": 5}, (TensorType((6,)),)),
        Example({"units": 1}, (TensorType((4, 3, 2)),)),
        Example({"units": 7}, (TensorType((2, 3)),)),
        Example({"units": 5}, (TensorType((6,), "int"),), raises="wrong-dtype"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        require_float(self.kind, *inputs)
        return TensorType((self.units,))
