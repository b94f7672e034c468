"""Normalisation."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Le

from dlrun.graph.layer import Example, Layer, Weight, layers
from dlrun.graph.tensor import TensorType


@layers("batch_norm")
class BatchNorm(Layer):
    """Batch normalisation over every axis but the last.

    y = g (x - m) / sqrt(v + e) + b, with m and v the batch's mean and biased variance per channel
    in training, the running ones in evaluation; g the scale, b the shift, e the epsilon. The
    running values move by r <- (1 - k) r + k s with k the momentum and s the batch's mean or its
    unbiased variance.

    Args:
        momentum: k, the share of the new batch in the running statistics.
        epsilon: e, added to the variance; above 0.

    Shapes: (N, *, C) -> (N, *, C).
    Weights: ``scale`` (C,); ``shift`` (C,); ``mean`` (C,) and ``variance`` (C,) not trained.
    Errors: none; a batch with one value per channel stops the run (batch-too-small).
    Differs: Keras' momentum is 1 - k with default 0.99, its epsilon 1e-3, its running variance biased.
    Source: Ioffe & Szegedy 2015.
    """

    momentum: Annotated[float, Gt(0), Le(1)] = 0.1
    epsilon: Annotated[float, Gt(0)] = 1e-5

    examples = (
        Example({}, (TensorType((4, 5, 3)),)),
        Example({"momentum": 0.3, "epsilon": 1e-3}, (TensorType((6,)),)),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        return inputs[0]

    def weights(self, *inputs: TensorType) -> tuple[Weight, ...]:
        shape = (inputs[0].shape[-1],)
        return (
            Weight("scale", shape, "ones"),
            Weight("shift", shape, "zeros"),
            Weight("mean", shape, "zeros", trainable=False),
            Weight("variance", shape, "ones", trainable=False),
        )

    def flops(self, *inputs: TensorType) -> int:
        return 2 * inputs[0].size


@layers("layer_norm")
class LayerNorm(Layer):
    """Layer normalisation over the last axis.

    y = g (x - m) / sqrt(v + e) + b, with m and v the mean and biased variance of each sample's
    last axis, g the scale, b the shift and e the epsilon.

    Args:
        epsilon: e, added to the variance.

    Shapes: (N, *, C) -> (N, *, C).
    Weights: ``scale`` (C,); ``shift`` (C,).
    Errors: none.
    Differs: Keras' epsilon is 1e-3.
    Source: Ba, Kiros & Hinton 2016.
    """

    epsilon: Annotated[float, Ge(0)] = 1e-5

    examples = (Example({}, (TensorType((4, 6)),)), Example({"epsilon": 1e-3}, (TensorType((3, 3, 5)),)))

    def infer(self, *inputs: TensorType) -> TensorType:
        return inputs[0]

    def weights(self, *inputs: TensorType) -> tuple[Weight, ...]:
        shape = (inputs[0].shape[-1],)
        return Weight("scale", shape, "ones"), Weight("shift", shape, "zeros")

    def flops(self, *inputs: TensorType) -> int:
        return 7 * inputs[0].size
