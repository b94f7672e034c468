"""Activations of straight or simple pieces, one with learned slopes."""

from __future__ import annotations

from typing import Any

from dlrun.errors import DlrunError
from dlrun.graph.layer import Example, Weight, layers
from dlrun.graph.tensor import TensorType
from dlrun.initializers import Constant
from dlrun.layers.activation import POINTS, Elementwise


@layers("identity")
class Identity(Elementwise):
    """Nothing; a branch or an activation that leaves its input alone.

    y = x.

    Args: none.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: none.
    Differs: nothing.
    Source: none.
    """

    examples = (Example({}, (TensorType((9,)),)), Example({}, (TensorType((3, 4, 2)),)))

    def infer(self, *inputs: TensorType) -> TensorType:
        return inputs[0]

    def flops(self, *inputs: TensorType) -> int:
        return 0


@layers("abs")
class Abs(Elementwise):
    """Absolute value.

    y = x for x > 0, else -x; the gradient at 0 is 0.

    Args: none.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: wrong-dtype.
    Differs: nothing.
    Source: Jarrett et al. 2009.
    """


@layers("squared_relu")
class SquaredReLU(Elementwise):
    """Square of the rectified linear unit.

    y = max(x, 0)^2.

    Args: none.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: wrong-dtype.
    Differs: neither framework has it.
    Source: So et al. 2021.
    """


@layers("hard_tanh")
class HardTanh(Elementwise):
    """Identity between two bounds, constant outside.

    y = min(max(x, l), h), with l and h the bounds; the gradient is 1 at the bounds themselves.

    Args:
        low: l, the smallest output.
        high: h, the largest output; above l.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: wrong-dtype, bad-bounds.
    Differs: the gradient of torch's hardtanh at the bounds is 0.
    Source: Collobert 2004.
    """

    low: float = -1.0
    high: float = 1.0

    examples = (
        *POINTS,
        Example({"low": 0.0, "high": 3.0}, (TensorType((9,)),)),
        Example({"low": 1.0}, (TensorType((9,)),), raises="bad-bounds"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        if self.low >= self.high:
            raise DlrunError(
                "bad-bounds",
                f"`high` must be above `low`, got `{self.high:g}` and `{self.low:g}`.",
                path=("high",),
            )
        return super().infer(*inputs)


@layers("prelu")
class PReLU(Elementwise):
    """Rectified linear unit with a learned slope below zero.

    y[…, c] = x[…, c] for x[…, c] > 0, else s[c] x[…, c], with s the slopes.

    Args:
        initial: What every slope starts at.
        shared: Whether there is one slope for all channels.

    Shapes: (N, *, C) -> (N, *, C).
    Weights: ``slope`` (C,), or (1,) if shared.
    Errors: wrong-dtype.
    Differs: torch shares the slope unless told the channels; Keras starts at 0 and has a slope for every position.
    Source: He et al. 2015.
    """

    initial: float = 0.25
    shared: bool = False

    examples = (
        *POINTS,
        Example({"initial": 0.1}, (TensorType((5, 3)),)),
        Example({}, (TensorType((2, 2, 3, 3)),)),
        Example({"shared": True}, (TensorType((3, 4, 2)),)),
        Example({"shared": True}, (TensorType((5, 3)),)),
    )

    def weights(self, *inputs: TensorType) -> tuple[Weight, ...]:
        start: dict[str, Any] = {"value": self.initial}
        return (Weight("slope", (1 if self.shared else inputs[0].shape[-1],), Constant(**start)),)
