"""Cells added around a tensor."""

from __future__ import annotations

import tensorflow as tf

from dlrun.backends.tensorflow.lowering import Lowered, lowers
from dlrun.layers import pad


@lowers(pad.Pad)
class Pad(Lowered):
    """Cells of one value, mirrored ones or those at the edge, which TensorFlow's own operation does not know."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, n, *) -> (N, before + n + after, *)."""
        layer = self.layer
        added = pad.around(layer.kind, self.node.input_types[0], layer.amount)
        if layer.mode == "edge":
            for axis, (before, after) in enumerate(added, 1):
                if before or after:
                    whole = (slice(None),) * axis
                    first, last = x[(*whole, slice(None, 1))], x[(*whole, slice(x.shape[axis] - 1, None))]
                    x = tf.concat([first] * before + [x] + [last] * after, axis=axis)
            return x
        mode = "REFLECT" if layer.mode == "reflect" else "CONSTANT"
        return tf.pad(x, ((0, 0), *added), mode=mode, constant_values=tf.constant(layer.value, x.dtype))
