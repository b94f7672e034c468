"""Transposed convolutions."""

from __future__ import annotations

import tensorflow as tf

from dlrun.backends.tensorflow.conv_forms import pad
from dlrun.backends.tensorflow.lowering import Lowered, lowers
from dlrun.layers import conv_transpose
from dlrun.layers.window import per_axis


class _Transposed(Lowered):
    """TensorFlow's SAME where the same cells are kept; elsewhere all of them, and a slice."""

    mixed = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, *, C) -> (N, *, filters)."""
        layer: conv_transpose.ConvTranspose = self.layer
        rank = layer.rank
        size, stride, spatial = per_axis(layer.kernel, rank), per_axis(layer.stride, rank), tuple(x.shape[1:-1])
        cuts = layer.cuts(spatial)
        same = [(max(k - s, 0) // 2, n * s) for n, k, s in zip(spatial, size, stride, strict=True)]
        if [(cut.before, cut.count) for cut in cuts] == same and max(cut.beyond for cut in cuts) <= 0:
            y = self._apply(x, tuple(cut.count for cut in cuts), stride, "SAME")
        else:
            y = self._apply(x, tuple(cut.whole for cut in cuts), stride, "VALID")
            # zeros beyond it are added apart: ONNX has no transposed convolution that ends in them
            y = pad(y, tuple((0, max(cut.beyond, 0)) for cut in cuts))
            y = y[(slice(None), *(slice(cut.before, cut.before + cut.count) for cut in cuts))]
        return tf.nn.bias_add(y, self.bias.value) if layer.bias else y

    def _apply(self, x: tf.Tensor, spatial: tuple[int, ...], stride: tuple[int, ...], padding: str) -> tf.Tensor:
        shape = (tf.shape(x)[0], *spatial, self.layer.filters)
        kernel = self.kernel.value
        if len(spatial) == 1:  # as an image of height 1
            shape = (shape[0], 1, *shape[1:])
            y = tf.nn.conv2d_transpose(
                x[:, None], kernel[None], shape, strides=(1, 1, *stride, 1), padding=padding, data_format="NHWC"
            )
            return y[:, 0]
        operation, layout = (tf.nn.conv2d_transpose, "NHWC") if len(spatial) == 2 else (tf.nn.conv3d_transpose, "NDHWC")
        return operation(x, kernel, shape, strides=(1, *stride, 1), padding=padding, data_format=layout)


@lowers(conv_transpose.Conv1DTranspose)
class Conv1DTranspose(_Transposed):
    """Along a sequence."""


@lowers(conv_transpose.Conv2DTranspose)
class Conv2DTranspose(_Transposed):
    """Over an image."""


@lowers(conv_transpose.Conv3DTranspose)
class Conv3DTranspose(_Transposed):
    """Over a volume."""
