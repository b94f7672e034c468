"""Numbers that a model draws for itself."""

from __future__ import annotations

import tensorflow as tf

from dlrun.backends.tensorflow.dropout import Drawing
from dlrun.backends.tensorflow.lowering import lowers
from dlrun.layers import noise


@lowers(noise.NormalNoise)
class NormalNoise(Drawing):
    """Unit normal numbers for each sample."""

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Shapes: (N, *) -> (N, units)."""
        units = self.layer.units
        if training:
            drawn = tf.ensure_shape(self.draws.noise(x, self.index, (units,)), (None, units))
        else:
            rows = tf.constant(noise.evaluation_rows(self.node.name, units), x.dtype)
            drawn = tf.gather(rows, tf.range(tf.shape(x)[0]) % noise.ROWS)
        return drawn + tf.reduce_sum(x[:0])  # 0, whatever the input: its gradient is 0, not missing
