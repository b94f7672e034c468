"""Fully connected layers."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Gt

from dlrun.errors import DlrunError
from dlrun.graph.layer import Example, Layer, Weight, layers, require_float, require_rank
from dlrun.graph.tensor import TensorType
from dlrun.initializers import Initial, check_initializer


@layers("dense")
class Dense(Layer):
    """Fully connected layer.

    y = x W + b, with x the input of F features, W the kernel and b the bias; a sequence step by step.

    Args:
        units: Output features; left out in a classifier's last layer, it is the number of classes.
        activation: Element-wise layer applied to y, or none.
        bias: Whether b is added.
        kernel_initializer: How W starts.
        bias_initializer: How b starts.

    Shapes: (N, F) -> (N, units); (N, L, F) -> (N, L, units).
    Weights: ``kernel`` (F, units); ``bias`` (units,).
    Errors: wrong-rank, wrong-dtype, units-missing, unknown-initializer.
    Differs: torch stores the kernel as (units, F) and starts it uniformly in 1/sqrt(F).
    Source: Rumelhart, Hinton & Williams 1986.
    """

    known_as = ("linear", "fc", "fully_connected")

    units: Annotated[int, Gt(0)] | None = None
    activation: str | None = None
    bias: bool = True
    kernel_initializer: Initial = "glorot_uniform"
    bias_initializer: Initial = "zeros"

    examples = (
        Example({"units": 5}, (TensorType((7,)),)),
        Example({"units": 3, "bias": False, "activation": "relu"}, (TensorType((4,)),)),
        Example({"units": 3}, (TensorType((5, 4)),)),
        Example({"units": 3}, (TensorType((4, 4, 2)),), raises="wrong-rank"),
        Example({"units": 3}, (TensorType((4,), "int"),), raises="wrong-dtype"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require_float(self.kind, x)
        if x.rank != 2:  # of an image, each pixel alone would be a 1x1 convolution: most likely `flatten` is missing
            require_rank(self.kind, x, 1, "features")
        if self.units is None:
            raise DlrunError(
                "units-missing",
                "`dense` needs `units`; only a classifier's last layer may leave it out.",
                path=("units",),
            )
        check_initializer(self.kernel_initializer, "kernel_initializer")
        check_initializer(self.bias_initializer, "bias_initializer")
        return TensorType((*x.shape[:-1], self.units))

    def weights(self, *inputs: TensorType) -> tuple[Weight, ...]:
        assert self.units is not None
        kernel = Weight("kernel", (inputs[0].shape[-1], self.units), self.kernel_initializer)
        bias = Weight("bias", (self.units,), self.bias_initializer)
        return (kernel, bias) if self.bias else (kernel,)

    def flops(self, *inputs: TensorType) -> int:
        assert self.units is not None
        x = inputs[0]
        return 2 * x.size * self.units + (x.size // x.shape[-1] * self.units if self.bias else 0)
