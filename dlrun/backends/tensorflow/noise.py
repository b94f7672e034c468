"""Numbers that a model draws for itself."""

from __future__ import annotations

import tensorflow as tf

from dlrun.backends.tensorflow.dropout import Drawing, portable_normal
from dlrun.backends.tensorflow.lowering import lowers
from dlrun.layers import noise
from dlrun.randomness import evaluation_key


@lowers(noise.NormalNoise)
class NormalNoise(Drawing):
    """Unit normal numbers for each sample."""

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Shapes: (N, *) -> (N, units)."""
        units = self.layer.units
        if training:
            drawn = self.draws.noise(x, self.index, (units,))
        else:
            key, shape = tf.constant(evaluation_key(self.node.name), tf.uint64), tf.stack([tf.shape(x)[0], units])
            drawn = tf.cast(portable_normal(key, tf.constant(0, tf.int64), shape), x.dtype)
        drawn = tf.ensure_shape(drawn, (None, units))
        return drawn + tf.reduce_sum(x[:0])  # 0, whatever the input: its gradient is 0, not missing
