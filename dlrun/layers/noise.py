"""Numbers that a model draws for itself."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Gt

from dlrun.graph.layer import Example, Layer, layers, require_float
from dlrun.graph.tensor import TensorType


@layers("normal_noise")
class NormalNoise(Layer):
    """Numbers from the unit normal distribution for each sample: what a generator makes images of.

    y = z, with z drawn for each number and sample. In training z is a function of (seed, layer, step) only; with
    `train.portable_dropout` it is the same on every backend. In evaluation z depends on the layer's name and the
    sample's place in the batch alone, on every backend alike: pictures made after each epoch can be compared.

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
