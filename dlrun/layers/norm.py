"""Normalisation: over the batch, over a sample's features, over groups of channels."""

from __future__ import annotations

import math
from typing import Annotated

from annotated_types import Ge, Gt, Le

from dlrun.described import described
from dlrun.errors import DlrunError
from dlrun.graph.layer import Example, Layer, Weight, layers, require_float
from dlrun.graph.tensor import TensorType

_PLAIN = {"scale": False, "shift": False}


@described
class _Norm(Layer):
    scale: bool = True
    shift: bool = True

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require_float(self.kind, x)
        return x

    def weights(self, *inputs: TensorType) -> tuple[Weight, ...]:
        shape = (inputs[0].shape[-1],)
        scale, shift = Weight("scale", shape, "ones"), Weight("shift", shape, "zeros")
        return ((scale,) if self.scale else ()) + ((shift,) if self.shift else ())

    def flops(self, *inputs: TensorType) -> int:
        return 7 * inputs[0].size


@layers("batch_norm")
class BatchNorm(_Norm):
    """Batch normalisation over every axis but the last.

    y = g (x - m) / sqrt(v + e) + b, with m and v the batch's mean and biased variance per channel
    in training, the running ones in evaluation; g the scale, b the shift, e the epsilon. The
    running values move by r <- (1 - k) r + k s with k the momentum and s the batch's mean or its
    unbiased variance. With `trainable: false` it always uses the running values, which then stay.

    Args:
        momentum: k, the share of the new batch in the running statistics.
        epsilon: e, added to the variance; above 0.
        scale: Whether there is g; 1 otherwise.
        shift: Whether there is b; 0 otherwise.

    Shapes: (N, *, C) -> (N, *, C).
    Weights: ``scale`` (C,); ``shift`` (C,); ``mean`` (C,) and ``variance`` (C,) not trained.
    Errors: wrong-dtype; batch-too-small where a training batch would have one value per channel.
    Differs: Keras' momentum is 1 - k with default 0.99, its epsilon 1e-3, its running variance biased.
    Source: Ioffe & Szegedy 2015.
    """

    known_as = ("bn", "batch_norm1d", "batch_norm2d", "batch_norm3d", "batch_normalization")

    momentum: Annotated[float, Gt(0), Le(1)] = 0.1
    epsilon: Annotated[float, Gt(0)] = 1e-5

    examples = (
        Example({}, (TensorType((4, 5, 3)),)),
        Example({"momentum": 0.3, "epsilon": 1e-3}, (TensorType((6,)),)),
        Example({"scale": False}, (TensorType((3, 4, 2)),)),
        Example({"shift": False}, (TensorType((5, 3)),)),
        Example(_PLAIN, (TensorType((2, 3, 2, 3)),)),
        Example({"trainable": False}, (TensorType((3, 4, 2)),)),
        Example({"trainable": False}, (TensorType((4,)),)),
        Example({}, (TensorType((4, 3), "int"),), raises="wrong-dtype"),
    )

    def weights(self, *inputs: TensorType) -> tuple[Weight, ...]:
        shape = (inputs[0].shape[-1],)
        return (
            *super().weights(*inputs),
            Weight("mean", shape, "zeros", trainable=False),
            Weight("variance", shape, "ones", trainable=False),
        )

    def flops(self, *inputs: TensorType) -> int:
        return 2 * inputs[0].size

    def smallest_batch(self, *inputs: TensorType) -> int:
        (x,) = inputs
        return 2 if self.trainable and x.size == x.shape[-1] else 1  # a variance needs two values


@layers("layer_norm")
class LayerNorm(_Norm):
    """Layer normalisation over the last axis.

    y = g (x - m) / sqrt(v + e) + b, with m and v the mean and biased variance of each sample's
    last axis, g the scale, b the shift and e the epsilon.

    Args:
        epsilon: e, added to the variance.
        scale: Whether there is g; 1 otherwise.
        shift: Whether there is b; 0 otherwise.

    Shapes: (N, *, C) -> (N, *, C).
    Weights: ``scale`` (C,); ``shift`` (C,).
    Errors: wrong-dtype.
    Differs: Keras' epsilon is 1e-3.
    Source: Ba, Kiros & Hinton 2016.
    """

    known_as = ("ln", "layer_normalization")

    epsilon: Annotated[float, Ge(0)] = 1e-5

    examples = (
        Example({}, (TensorType((4, 6)),)),
        Example({"epsilon": 1e-3}, (TensorType((3, 3, 5)),)),
        Example({"scale": False}, (TensorType((2, 2, 3, 5)),)),
        Example({"shift": False}, (TensorType((7,)),)),
        Example(_PLAIN, (TensorType((3, 4, 6)),)),
        Example({}, (TensorType((4,), "int"),), raises="wrong-dtype"),
    )


@layers("rms_norm")
class RMSNorm(Layer):
    """Division by the root of the mean square over the last axis.

    y = g x / sqrt(q + e), with q the mean of x^2 over each sample's last axis, g the scale and e the epsilon.

    Args:
        epsilon: e, added to the mean square; above 0.
        scale: Whether there is g; 1 otherwise.

    Shapes: (N, *, C) -> (N, *, C).
    Weights: ``scale`` (C,).
    Errors: wrong-dtype.
    Differs: torch's epsilon is that of the number format, 1.2e-7; Keras' `rms_scaling` is something else.
    Source: Zhang & Sennrich 2019.
    """

    epsilon: Annotated[float, Gt(0)] = 1e-6
    scale: bool = True

    examples = (
        Example({}, (TensorType((4, 6)),)),
        Example({"epsilon": 1e-2}, (TensorType((3, 3, 5)),)),
        Example({"scale": False}, (TensorType((7,)),)),
        Example({}, (TensorType((4,), "int"),), raises="wrong-dtype"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require_float(self.kind, x)
        return x

    def weights(self, *inputs: TensorType) -> tuple[Weight, ...]:
        return (Weight("scale", (inputs[0].shape[-1],), "ones"),) if self.scale else ()

    def flops(self, *inputs: TensorType) -> int:
        return 4 * inputs[0].size


@layers("group_norm")
class GroupNorm(_Norm):
    """Normalisation over space and over groups of neighbouring channels.

    y = g (x - m) / sqrt(v + e) + b, with m and v the mean and biased variance of each sample over
    all positions and over the C / groups channels of a group, g the scale and b the shift per
    channel, e the epsilon. One group is layer normalisation over the whole sample.

    Args:
        groups: Number of groups; divides C.
        epsilon: e, added to the variance; above 0.
        scale: Whether there is g; 1 otherwise.
        shift: Whether there is b; 0 otherwise.

    Shapes: (N, *, C) -> (N, *, C).
    Weights: ``scale`` (C,); ``shift`` (C,).
    Errors: wrong-dtype, channels-not-divisible, one-value.
    Differs: Keras' epsilon is 1e-3.
    Source: Wu & He 2018.
    """

    groups: Annotated[int, Gt(0)]
    epsilon: Annotated[float, Gt(0)] = 1e-5

    examples = (
        Example({"groups": 2}, (TensorType((4, 5, 6)),)),
        Example({"groups": 1, "epsilon": 1e-3}, (TensorType((3, 4)),)),
        Example({"groups": 4, "scale": False}, (TensorType((3, 2, 4)),)),
        Example({"groups": 2, "shift": False}, (TensorType((6,)),)),
        Example({"groups": 3, **_PLAIN}, (TensorType((2, 3, 2, 3)),)),
        Example({"groups": 4}, (TensorType((4, 5, 6)),), raises="channels-not-divisible"),
        Example({"groups": 6}, (TensorType((6,)),), raises="one-value"),
        Example({"groups": 2}, (TensorType((4, 2), "int"),), raises="wrong-dtype"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require_float(self.kind, x)
        channels = x.shape[-1]
        if channels % self.groups:
            divisors = [str(g) for g in range(1, channels + 1) if channels % g == 0]
            raise DlrunError(
                "channels-not-divisible",
                f"`{self.groups}` groups do not divide the {channels} channels of {x}.",
                path=("groups",),
                hint="Use one of " + ", ".join(divisors) + ".",
            )
        _more_than_one(self.kind, x, x.size // self.groups, "group")
        return x


@layers("instance_norm")
class InstanceNorm(_Norm):
    """Normalisation of each channel of each sample over its positions.

    y = g (x - m) / sqrt(v + e) + b, with m and v the mean and biased variance of a sample's channel
    over all positions, g the scale and b the shift per channel, e the epsilon.

    Args:
        epsilon: e, added to the variance; above 0.
        scale: Whether there is g; 1 otherwise.
        shift: Whether there is b; 0 otherwise.

    Shapes: (N, *, C) -> (N, *, C), with at least one axis before C.
    Weights: ``scale`` (C,); ``shift`` (C,).
    Errors: wrong-dtype, wrong-rank, one-value.
    Differs: torch leaves scale and shift out unless asked.
    Source: Ulyanov, Vedaldi & Lempitsky 2016.
    """

    epsilon: Annotated[float, Gt(0)] = 1e-5

    examples = (
        Example({}, (TensorType((4, 5, 3)),)),
        Example({"epsilon": 1e-3, **_PLAIN}, (TensorType((7, 2)),)),
        Example({"scale": False}, (TensorType((2, 3, 2, 2)),)),
        Example({"shift": False}, (TensorType((3, 3, 2)),)),
        Example({}, (TensorType((4,)),), raises="wrong-rank"),
        Example({}, (TensorType((1, 1, 4)),), raises="one-value"),
        Example({}, (TensorType((4, 5), "int"),), raises="wrong-dtype"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require_float(self.kind, x)
        if x.rank < 2:
            raise DlrunError(
                "wrong-rank",
                f"`{self.kind}` needs positions beside channels, got {x}.",
                hint="Use `layer_norm` for features without positions.",
            )
        _more_than_one(self.kind, x, math.prod(x.shape[:-1]), "channel")
        return x


def _more_than_one(kind: str, x: TensorType, values: int, per: str) -> None:
    if values < 2:
        raise DlrunError(
            "one-value",
            f"`{kind}` over {x} has one value per {per}, so its output would not depend on its input.",
            hint="Normalise before the axes are pooled away, or use `layer_norm`.",
        )
