"""Layers that act only in training."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Lt

from dlrun.graph.layer import Example, Layer, layers
from dlrun.graph.tensor import TensorType


@layers("dropout")
class Dropout(Layer):
    """Zeroes elements at random in training and scales the rest; nothing in evaluation.

    y = x k / (1 - p), with p the rate and k 0 with probability p, else 1. k is a function of
    (seed, layer, step) only; with `train.portable_dropout` it has the same bits on every backend.

    Args:
        rate: p, the share of elements zeroed.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: none.
    Differs: the frameworks draw k from hidden generators.
    Source: Srivastava et al. 2014.
    """

    rate: Annotated[float, Ge(0), Lt(1)]

    examples = (Example({"rate": 0.5}, (TensorType((6,)),)), Example({"rate": 0.0}, (TensorType((2, 3, 4)),)))

    def infer(self, *inputs: TensorType) -> TensorType:
        return inputs[0]
