"""Multiplication by learned or fixed numbers."""

from __future__ import annotations

from typing import Any

from dlrun.graph.layer import Example, Layer, Weight, layers, require_float
from dlrun.graph.tensor import TensorType
from dlrun.initializers import Constant


@layers("scale")
class Scale(Layer):
    """A learned factor for each channel, and a learned offset if wanted.

    y[…, c] = g[c] x[…, c] + b[c], with g the scale and b the shift.

    Args:
        initial: What every g starts at; residual branches of deep networks start near 0, at 1e-6 say.
        shift: Whether there is b, which starts at 0.

    Shapes: (N, *, C) -> (N, *, C).
    Weights: ``scale`` (C,); ``shift`` (C,).
    Errors: wrong-dtype.
    Differs: neither framework has it.
    Source: Touvron et al. 2021.
    """

    initial: float = 1.0
    shift: bool = False

    examples = (
        Example({}, (TensorType((3, 4, 2)),)),
        Example({"initial": 1e-6}, (TensorType((5, 3)),)),
        Example({"shift": True}, (TensorType((6,)),)),
        Example({"shift": True}, (TensorType((2, 2, 3, 2)),)),
        Example({}, (TensorType((4, 2), "int"),), raises="wrong-dtype"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require_float(self.kind, x)
        return x

    def weights(self, *inputs: TensorType) -> tuple[Weight, ...]:
        shape = (inputs[0].shape[-1],)
        start: dict[str, Any] = {"value": self.initial}
        scale, shift = Weight("scale", shape, Constant(**start)), Weight("shift", shape, "zeros")
        return (scale, shift) if self.shift else (scale,)

    def flops(self, *inputs: TensorType) -> int:
        return (2 if self.shift else 1) * inputs[0].size


@layers("scale_by")
class ScaleBy(Layer):
    """A fixed factor for everything, and a fixed offset.

    y = f x + o, with f the factor and o the offset.

    Args:
        factor: f.
        offset: o.

    Shapes: (N, *) -> (N, *).
    Weights: none.
    Errors: wrong-dtype.
    Differs: nothing.
    Source: none.
    """

    factor: float
    offset: float = 0.0

    examples = (
        Example({"factor": 0.1}, (TensorType((3, 4, 2)),)),
        Example({"factor": -2.0, "offset": 0.3}, (TensorType((6,)),)),
        Example({"factor": 2.0}, (TensorType((4, 2), "int"),), raises="wrong-dtype"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require_float(self.kind, x)
        return x

    def flops(self, *inputs: TensorType) -> int:
        return 2 * inputs[0].size
