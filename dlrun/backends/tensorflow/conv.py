"""Convolutions."""

from __future__ import annotations

import tensorflow as tf

from dlrun.backends.tensorflow.lowering import Lowered, lowers
from dlrun.graph.layer import pair
from dlrun.layers import conv


@lowers(conv.Conv2D)
class Conv2D(Lowered):
    """Cross-correlation; TensorFlow's own SAME is the graph's ``same``."""

    mixed = True

    def call(self, x_nhwc: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, H, W, C) -> (N, H', W', filters)."""
        layer, kernel = self.layer, self.kernel.value
        stride, dilation = pair(layer.stride), pair(layer.dilation)
        if dilation == (1, 1):
            y = tf.nn.conv2d(
                x_nhwc, kernel, strides=stride, padding=layer.padding.upper(), data_format="NHWC", dilations=(1, 1)
            )
        else:
            y = self._dilated(x_nhwc, kernel, stride, dilation)
        return tf.nn.bias_add(y, self.bias.value, data_format="NHWC") if layer.bias else y

    def _dilated(
        self, x_nhwc: tf.Tensor, kernel: tf.Tensor, stride: tuple[int, int], dilation: tuple[int, int]
    ) -> tf.Tensor:
        # tf.nn.convolution takes no stride beside a dilation, and the raw op has no float64 gradient on a CPU:
        # pad as for the stride, move by one cell, keep every stride-th position.
        layer = self.layer
        added = conv.pads(tuple(x_nhwc.shape[1:3]), pair(layer.kernel), stride, dilation, layer.padding)
        x_nhwc = tf.pad(x_nhwc, ((0, 0), *added, (0, 0)), mode="CONSTANT", constant_values=0)
        y = tf.nn.convolution(x_nhwc, kernel, strides=(1, 1), padding="VALID", data_format="NHWC", dilations=dilation)
        return y[:, :: stride[0], :: stride[1], :]
