"""Layers that act only in training."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Lt

from dlrun.errors import DlrunError
from dlrun.graph.layer import Example, Layer, layers, require_float
from dlrun.graph.tensor import TensorType

Rate = Annotated[float, Ge(0), Lt(1)]


class _SameType(Layer):
    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require_float(self.kind, x)
        return x


@layers("dropout")
class Dropout(_SameType):
    """Zeroes elements at random in training and scales the rest; nothing in evaluation.

    y = x k / (1 - p), with p the rate and k 0 with probability p, else 1. k is a function of
    (seed, layer, step) only; with `train.portable_dropout` it has the same bits on every backend.

    Args:
        rate: p, the share of elements zeroed.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: wrong-dtype.
    Differs: the frameworks draw k from hidden generators.
    Source: Srivastava et al. 2014.
    """

    rate: Rate

    examples = (
        Example({"rate": 0.5}, (TensorType((6,)),)),
        Example({"rate": 0.0}, (TensorType((2, 3, 4)),)),
        Example({"rate": 0.5}, (TensorType((6,), "int"),), raises="wrong-dtype"),
    )


@layers("spatial_dropout")
class SpatialDropout(_SameType):
    """Zeroes whole channels at random in training and scales the rest; nothing in evaluation.

    y[…, c] = x[…, c] k[c] / (1 - p), with p the rate and k[c] 0 with probability p, else 1, drawn
    once per sample and channel as `dropout` draws.

    Args:
        rate: p, the share of channels zeroed.

    Shapes: (N, *, C) -> (N, *, C), with at least one axis before C.
    Weights: none.
    Errors: wrong-dtype, wrong-rank.
    Differs: the frameworks draw k from hidden generators.
    Source: Tompson et al. 2014.
    """

    known_as = ("dropout2d", "spatial_dropout2d")

    rate: Rate

    examples = (
        Example({"rate": 0.5}, (TensorType((4, 3, 6)),)),
        Example({"rate": 0.25}, (TensorType((5, 8)),)),
        Example({"rate": 0.5}, (TensorType((2, 3, 2, 4)),)),
        Example({"rate": 0.5}, (TensorType((4,)),), raises="wrong-rank"),
        Example({"rate": 0.5}, (TensorType((4, 2), "int"),), raises="wrong-dtype"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        x = super().infer(*inputs)
        if x.rank < 2:
            raise DlrunError(
                "wrong-rank",
                f"`{self.kind}` needs positions beside channels, got {x}.",
                hint="Use `dropout` for features without positions.",
            )
        return x


@layers("stochastic_depth")
class StochasticDepth(_SameType):
    """Zeroes whole samples at random in training and scales the rest; nothing in evaluation.

    y = x k / (1 - p), with p the rate and k 0 with probability p, else 1, drawn once per sample as
    `dropout` draws. At the end of a residual branch it leaves that sample the shortcut alone.

    Args:
        rate: p, the share of samples zeroed.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: wrong-dtype.
    Differs: the paper scales in evaluation instead, by 1 - p.
    Source: Huang et al. 2016.
    """

    known_as = ("drop_path",)

    rate: Rate

    examples = (
        Example({"rate": 0.5}, (TensorType((3, 4, 2)),)),
        Example({"rate": 0.5}, (TensorType((6,)),)),
        Example({"rate": 0.0}, (TensorType((5, 2)),)),
        Example({"rate": 0.5}, (TensorType((6,), "int"),), raises="wrong-dtype"),
    )


@layers("gaussian_noise")
class GaussianNoise(_SameType):
    """Adds normal noise in training; nothing in evaluation.

    y = x + d z, with d the deviation and z drawn from the unit normal distribution for each element,
    a function of (seed, layer, step) only; with `train.portable_dropout` it is the same on every backend.

    Args:
        deviation: d, the noise's standard deviation, in units of x.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: wrong-dtype.
    Differs: Keras draws z from a hidden generator; torch has no such layer.
    Source: Bishop 1995.
    """

    known_as = ("noise",)

    deviation: Annotated[float, Ge(0)]

    examples = (
        Example({"deviation": 0.3}, (TensorType((6,)),)),
        Example({"deviation": 1.0}, (TensorType((4, 3, 2)),)),
        Example({"deviation": 0.0}, (TensorType((4, 2)),)),
        Example({"deviation": 1.0}, (TensorType((6,), "int"),), raises="wrong-dtype"),
    )


@layers("gradient_reversal")
class GradientReversal(_SameType):
    """Nothing forward, the reversed gradient backward.

    y = x, and the gradient of x is -f times that of y, with f the factor.

    Args:
        factor: f, how strongly what stands before is trained against what stands behind.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: wrong-dtype.
    Differs: neither framework has it.
    Source: Ganin & Lempitsky 2014.
    """

    factor: Annotated[float, Ge(0)] = 1.0

    examples = (
        Example({}, (TensorType((3, 4, 2)),)),
        Example({"factor": 0.3}, (TensorType((6,)),)),
        Example({}, (TensorType((6,), "int"),), raises="wrong-dtype"),
    )
