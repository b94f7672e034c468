"""Convolutions."""

from __future__ import annotations

import tensorflow as tf

from dlrun.backends.tensorflow.conv_forms import convolve
from dlrun.backends.tensorflow.lowering import Lowered, lowers
from dlrun.layers import conv


class _Convolution(Lowered):
    """Cross-correlation; TensorFlow's own SAME is the graph's ``same``."""

    mixed = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, *, C) -> (N, *, filters)."""
        y = convolve(x, self.kernel.value, self.layer.window(), self.layer.groups)
        return tf.nn.bias_add(y, self.bias.value) if self.layer.bias else y


@lowers(conv.Conv1D)
class Conv1D(_Convolution):
    """Along a sequence."""


@lowers(conv.Conv2D)
class Conv2D(_Convolution):
    """Over an image."""


@lowers(conv.Conv3D)
class Conv3D(_Convolution):
    """Over a volume."""
