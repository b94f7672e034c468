"""Depthwise convolutions."""

from __future__ import annotations

import tensorflow as tf

from dlrun.backends.tensorflow import conv_forms
from dlrun.backends.tensorflow.lowering import Lowered, lowers
from dlrun.layers import depthwise


class _Depthwise(Lowered):
    """Each channel with kernels of its own."""

    mixed = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, *, C) -> (N, *, C m)."""
        y = conv_forms.depthwise(x, self.kernel.value, self.layer.window())
        return tf.nn.bias_add(y, self.bias.value) if self.layer.bias else y


@lowers(depthwise.DepthwiseConv1D)
class DepthwiseConv1D(_Depthwise):
    """Along a sequence."""


@lowers(depthwise.DepthwiseConv2D)
class DepthwiseConv2D(_Depthwise):
    """Over an image."""
