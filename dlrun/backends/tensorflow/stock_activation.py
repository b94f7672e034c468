"""Activations said with Keras' own layers and operations."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from dlrun.backends.tensorflow.stock import DTYPE, stock
from dlrun.graph import Layer, Node
from dlrun.layers import activation, piecewise

_NAMED: dict[type[Layer], str] = {
    activation.ReLU: "relu",
    activation.SELU: "selu",
    activation.SiLU: "silu",
    activation.Mish: "mish",
    activation.Softplus: "softplus",
    activation.Softsign: "softsign",
    activation.Sigmoid: "sigmoid",
    activation.LogSigmoid: "log_sigmoid",
    activation.Tanh: "tanh",
    activation.HardSigmoid: "hard_sigmoid",
    activation.HardSwish: "hard_silu",
    activation.LogSoftmax: "log_softmax",
}


@stock(*_NAMED)
def _activation(layer: Layer, node: Node, name: str) -> Any:
    return keras.layers.Activation(_NAMED[type(layer)], dtype=DTYPE, name=name)


@stock(activation.ReLU6)
def _relu6(layer: activation.ReLU6, node: Node, name: str) -> Any:
    return keras.layers.ReLU(max_value=6.0, dtype=DTYPE, name=name)


@stock(activation.LeakyReLU)
def _leaky_relu(layer: activation.LeakyReLU, node: Node, name: str) -> Any:
    return keras.layers.LeakyReLU(negative_slope=layer.slope, dtype=DTYPE, name=name)


@stock(activation.ELU)
def _elu(layer: activation.ELU, node: Node, name: str) -> Any:
    return keras.layers.ELU(alpha=layer.alpha, dtype=DTYPE, name=name)


@stock(activation.CELU)
def _celu(layer: activation.CELU, node: Node, name: str) -> Any:
    return lambda x: ops.celu(x, alpha=layer.alpha)


@stock(activation.GELU)
def _gelu(layer: activation.GELU, node: Node, name: str) -> Any:
    approximate = layer.approximate == "tanh"
    return lambda x: ops.gelu(x, approximate=approximate)


@stock(activation.GELUTanh)
def _gelu_tanh(layer: activation.GELUTanh, node: Node, name: str) -> Any:
    return lambda x: ops.gelu(x, approximate=True)


@stock(activation.QuickGELU)
def _quick_gelu(layer: activation.QuickGELU, node: Node, name: str) -> Any:
    return lambda x: x * ops.sigmoid(1.702 * x)


@stock(activation.Softmax)
def _softmax(layer: activation.Softmax, node: Node, name: str) -> Any:
    return keras.layers.Softmax(axis=-1, dtype=DTYPE, name=name)


@stock(piecewise.Identity)
def _identity(layer: piecewise.Identity, node: Node, name: str) -> Any:
    return keras.layers.Identity(dtype=DTYPE, name=name)


@stock(piecewise.Abs)
def _abs(layer: piecewise.Abs, node: Node, name: str) -> Any:
    return ops.abs


@stock(piecewise.SquaredReLU)
def _squared_relu(layer: piecewise.SquaredReLU, node: Node, name: str) -> Any:
    return lambda x: ops.square(ops.relu(x))


@stock(piecewise.HardTanh)
def _hard_tanh(layer: piecewise.HardTanh, node: Node, name: str) -> Any:
    return lambda x: ops.clip(x, layer.low, layer.high)


@stock(piecewise.PReLU)
def _prelu(layer: piecewise.PReLU, node: Node, name: str) -> Any:
    return _Slopes(layer, node, name)


class _Slopes:
    """Keras' slopes have an axis for each of the sample's, of length 1 where they are shared."""

    def __init__(self, layer: piecewise.PReLU, node: Node, name: str) -> None:
        rank = node.output.rank
        shared = range(1, rank + 1 if layer.shared else rank)
        self.layer = keras.layers.PReLU(shared_axes=list(shared), dtype=DTYPE, name=name)
        self.axes = rank

    def __call__(self, x: Any) -> Any:
        return self.layer(x)

    def set_weights(self, weights: list[np.ndarray]) -> None:
        (slope,) = weights
        self.layer.set_weights([slope.reshape((1,) * (self.axes - 1) + slope.shape)])
