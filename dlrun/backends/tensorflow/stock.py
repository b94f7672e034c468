"""The model said with Keras' own layers only, so that a ``.keras`` file loads without dlrun.

Good for inference: there every one of these layers means what dlrun's layer means. In training
they would not (Keras' running variance is biased, its dropout draws from a hidden generator).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from dlrun.graph import INPUT, Graph, Layer, Node
from dlrun.graph.layer import pair
from dlrun.layers import activation, conv, linear, merge, norm, pool, regularization, shape

Build = Callable[[Any, Node, str], Callable[[Any], Any]]
"""From a layer's description, its node and a name to the Keras layer (or function) that applies it."""

_BUILDS: dict[type[Layer], Build] = {}
_DTYPE = "float32"


def stock(*kinds: type[Layer]) -> Callable[[Build], Build]:
    """Register how these layers are said with Keras' own."""

    def register(build: Build) -> Build:
        _BUILDS.update(dict.fromkeys(kinds, build))
        return build

    return register


def has_stock(kind: type[Layer]) -> bool:
    """Whether a layer can be said with Keras' own."""
    return kind in _BUILDS


def stock_model(
    graph: Graph, weights: dict[str, np.ndarray], affine: tuple[np.ndarray, np.ndarray], stored_dtype: str
) -> keras.Model:
    """A functional model of stock layers, from stored samples to outputs.

    Args:
        graph: The model.
        weights: Canonical, by ``<node>.<weight>``.
        affine: Preprocessing, multiplier and offset per channel.
        stored_dtype: Of its input.
    """
    x = keras.Input(graph.input.shape, dtype=stored_dtype, name=INPUT)
    scale, offset = (a.tolist() for a in affine)
    values = {INPUT: keras.layers.Rescaling(scale, offset, dtype=_DTYPE, name="preprocess")(x)}
    for node in graph.nodes:
        name = f"{node.name}_layer" if node.name in (INPUT, "preprocess", "output") else node.name
        apply = _BUILDS[type(node.layer)](node.layer, node, name)
        inputs = [values[i] for i in node.inputs]
        values[node.name] = apply(inputs if len(inputs) > 1 else inputs[0])
        if node.weights:
            # Keras keeps a layer's arrays in the order in which dlrun's layers name theirs
            apply.set_weights([weights[f"{node.name}.{w.name}"] for w in node.weights])  # type: ignore[attr-defined]
    output = keras.layers.Identity(dtype=_DTYPE, name="output")(values[graph.nodes[-1].name])
    return keras.Model(x, output)


@stock(linear.Dense)
def _dense(layer: linear.Dense, node: Node, name: str) -> Any:
    return keras.layers.Dense(layer.units, use_bias=layer.bias, dtype=_DTYPE, name=name)


@stock(conv.Conv2D)
def _conv2d(layer: conv.Conv2D, node: Node, name: str) -> Any:
    size, stride, dilation = pair(layer.kernel), pair(layer.stride), pair(layer.dilation)
    if max(stride) > 1 and max(dilation) > 1:
        return _Strided(layer, node, name)
    return keras.layers.Conv2D(
        layer.filters,
        size,
        strides=stride,
        dilation_rate=dilation,
        padding=layer.padding,
        data_format="channels_last",
        use_bias=layer.bias,
        dtype=_DTYPE,
        name=name,
    )


class _Strided:
    """A convolution with stride and dilation, which Keras refuses: stride 1, then every s-th position."""

    def __init__(self, layer: conv.Conv2D, node: Node, name: str) -> None:
        size, stride, dilation = pair(layer.kernel), pair(layer.stride), pair(layer.dilation)
        self.stride = stride
        added = conv.pads(node.input_types[0].shape, size, stride, dilation, layer.padding)
        self.pad = keras.layers.ZeroPadding2D(added, data_format="channels_last", dtype=_DTYPE, name=f"{name}_pad")
        self.conv = keras.layers.Conv2D(
            layer.filters,
            size,
            strides=1,
            dilation_rate=dilation,
            padding="valid",
            data_format="channels_last",
            use_bias=layer.bias,
            dtype=_DTYPE,
            name=name,
        )

    def __call__(self, x: Any) -> Any:
        rows, columns = self.stride
        return self.conv(self.pad(x))[:, ::rows, ::columns]

    def set_weights(self, weights: list[np.ndarray]) -> None:
        self.conv.set_weights(weights)


@stock(pool.MaxPool2D)
def _max_pool2d(layer: pool.MaxPool2D, node: Node, name: str) -> Any:
    size, stride = layer.window()
    return keras.layers.MaxPooling2D(
        size, strides=stride, padding=layer.padding, data_format="channels_last", dtype=_DTYPE, name=name
    )


@stock(pool.AvgPool2D)
def _avg_pool2d(layer: pool.AvgPool2D, node: Node, name: str) -> Any:
    size, stride = layer.window()
    return keras.layers.AveragePooling2D(
        size, strides=stride, padding=layer.padding, data_format="channels_last", dtype=_DTYPE, name=name
    )


@stock(pool.GlobalAvgPool2D)
def _global_avg_pool2d(layer: pool.GlobalAvgPool2D, node: Node, name: str) -> Any:
    return keras.layers.GlobalAveragePooling2D(data_format="channels_last", dtype=_DTYPE, name=name)


@stock(pool.GlobalMaxPool2D)
def _global_max_pool2d(layer: pool.GlobalMaxPool2D, node: Node, name: str) -> Any:
    return keras.layers.GlobalMaxPooling2D(data_format="channels_last", dtype=_DTYPE, name=name)


@stock(shape.Flatten, shape.Reshape)
def _reshape(layer: shape.Flatten | shape.Reshape, node: Node, name: str) -> Any:
    return keras.layers.Reshape(node.output.shape, dtype=_DTYPE, name=name)


@stock(norm.BatchNorm)
def _batch_norm(layer: norm.BatchNorm, node: Node, name: str) -> Any:
    return keras.layers.BatchNormalization(
        axis=-1, momentum=1 - layer.momentum, epsilon=layer.epsilon, dtype=_DTYPE, name=name
    )


@stock(norm.LayerNorm)
def _layer_norm(layer: norm.LayerNorm, node: Node, name: str) -> Any:
    return keras.layers.LayerNormalization(axis=-1, epsilon=layer.epsilon, dtype=_DTYPE, name=name)


@stock(regularization.Dropout)
def _dropout(layer: regularization.Dropout, node: Node, name: str) -> Any:
    return keras.layers.Dropout(layer.rate, dtype=_DTYPE, name=name)


@stock(merge.Add)
def _add(layer: merge.Add, node: Node, name: str) -> Any:
    return keras.layers.Add(dtype=_DTYPE, name=name)


@stock(merge.Concat)
def _concat(layer: merge.Concat, node: Node, name: str) -> Any:
    return keras.layers.Concatenate(axis=-1, dtype=_DTYPE, name=name)


@stock(activation.ReLU6)
def _relu6(layer: activation.ReLU6, node: Node, name: str) -> Any:
    return keras.layers.ReLU(max_value=6.0, dtype=_DTYPE, name=name)


@stock(activation.LeakyReLU)
def _leaky_relu(layer: activation.LeakyReLU, node: Node, name: str) -> Any:
    return keras.layers.LeakyReLU(negative_slope=layer.slope, dtype=_DTYPE, name=name)


@stock(activation.ELU)
def _elu(layer: activation.ELU, node: Node, name: str) -> Any:
    return keras.layers.ELU(alpha=layer.alpha, dtype=_DTYPE, name=name)


@stock(activation.GELU)
def _gelu(layer: activation.GELU, node: Node, name: str) -> Any:
    approximate = layer.approximate == "tanh"
    return lambda x: keras.ops.gelu(x, approximate=approximate)


@stock(activation.Softmax)
def _softmax(layer: activation.Softmax, node: Node, name: str) -> Any:
    return keras.layers.Softmax(axis=-1, dtype=_DTYPE, name=name)


_NAMED: dict[type[Layer], str] = {
    activation.ReLU: "relu",
    activation.SELU: "selu",
    activation.SiLU: "silu",
    activation.Mish: "mish",
    activation.Softplus: "softplus",
    activation.Softsign: "softsign",
    activation.Sigmoid: "sigmoid",
    activation.Tanh: "tanh",
    activation.HardSigmoid: "hard_sigmoid",
    activation.HardSwish: "hard_silu",
}


@stock(*_NAMED)
def _activation(layer: Layer, node: Node, name: str) -> Any:
    return keras.layers.Activation(_NAMED[type(layer)], dtype=_DTYPE, name=name)
