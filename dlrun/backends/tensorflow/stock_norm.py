"""Normalisation, scaling and what acts only in training, said with Keras' own layers."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from dlrun.backends.tensorflow.stock import DTYPE, stock
from dlrun.graph import Layer, Node
from dlrun.layers import norm, regularization, scale


@stock(norm.BatchNorm)
def _batch_norm(layer: norm.BatchNorm, node: Node, name: str) -> Any:
    return keras.layers.BatchNormalization(
        axis=-1,
        momentum=1 - layer.momentum,
        epsilon=layer.epsilon,
        scale=layer.scale,
        center=layer.shift,
        trainable=layer.trainable,
        dtype=DTYPE,
        name=name,
    )


@stock(norm.LayerNorm)
def _layer_norm(layer: norm.LayerNorm, node: Node, name: str) -> Any:
    return keras.layers.LayerNormalization(
        axis=-1, epsilon=layer.epsilon, scale=layer.scale, center=layer.shift, dtype=DTYPE, name=name
    )


@stock(norm.RMSNorm)
def _rms_norm(layer: norm.RMSNorm, node: Node, name: str) -> Any:
    if layer.scale:
        return keras.layers.RMSNormalization(axis=-1, epsilon=layer.epsilon, dtype=DTYPE, name=name)
    return lambda x: x * ops.rsqrt(ops.mean(ops.square(x), axis=-1, keepdims=True) + layer.epsilon)


@stock(norm.GroupNorm, norm.InstanceNorm)
def _group_norm(layer: norm.GroupNorm | norm.InstanceNorm, node: Node, name: str) -> Any:
    return keras.layers.GroupNormalization(
        groups=layer.groups if isinstance(layer, norm.GroupNorm) else node.output.shape[-1],
        axis=-1,
        epsilon=layer.epsilon,
        scale=layer.scale,
        center=layer.shift,
        dtype=DTYPE,
        name=name,
    )


@stock(scale.Scale)
def _scale(layer: scale.Scale, node: Node, name: str) -> Any:
    return _Diagonal(layer, node, name)


class _Diagonal:
    """A product with one number per channel, as an einsum without a sum."""

    def __init__(self, layer: scale.Scale, node: Node, name: str) -> None:
        axes = "abde"[: node.output.rank - 1]
        self.layer = keras.layers.EinsumDense(
            f"n{axes}c,c->n{axes}c",
            output_shape=node.output.shape,
            bias_axes="c" if layer.shift else None,
            dtype=DTYPE,
            name=name,
        )

    def __call__(self, x: Any) -> Any:
        return self.layer(x)

    def set_weights(self, weights: list[np.ndarray]) -> None:
        self.layer.set_weights(weights)


@stock(scale.ScaleBy)
def _scale_by(layer: scale.ScaleBy, node: Node, name: str) -> Any:
    return keras.layers.Rescaling(layer.factor, layer.offset, dtype=DTYPE, name=name)


@stock(regularization.Dropout)
def _dropout(layer: regularization.Dropout, node: Node, name: str) -> Any:
    return keras.layers.Dropout(layer.rate, dtype=DTYPE, name=name)


@stock(regularization.SpatialDropout)
def _spatial_dropout(layer: regularization.SpatialDropout, node: Node, name: str) -> Any:
    *positions, channels = node.output.shape
    shape = (None, *(1 for _ in positions), channels)
    return keras.layers.Dropout(layer.rate, noise_shape=shape, dtype=DTYPE, name=name)


@stock(regularization.StochasticDepth)
def _stochastic_depth(layer: regularization.StochasticDepth, node: Node, name: str) -> Any:
    shape = (None, *(1,) * node.output.rank)
    return keras.layers.Dropout(layer.rate, noise_shape=shape, dtype=DTYPE, name=name)


@stock(regularization.GaussianNoise)
def _gaussian_noise(layer: regularization.GaussianNoise, node: Node, name: str) -> Any:
    return keras.layers.GaussianNoise(layer.deviation, dtype=DTYPE, name=name)


@stock(regularization.GradientReversal)
def _gradient_reversal(layer: Layer, node: Node, name: str) -> Any:
    return keras.layers.Identity(dtype=DTYPE, name=name)
