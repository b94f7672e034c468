"""Losses of sequences in TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from dlrun.backends.tensorflow.losses.lowered import LoweredLoss
from dlrun.backends.tensorflow.lowering import lowers
from dlrun.losses import sequence

NEVER = -1e30
"""The logarithm of no probability: finite, so that its gradient is 0 and not undefined."""


@lowers(sequence.CTC)
class CTC(LoweredLoss):
    """Own form, the forward recursion in logarithms and in float64, which tf.nn.ctc_loss has not.

    The gradient is a difference of sums over all frames; float32 would lose digits of it.
    """

    def total(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        steps, blank = x.shape[1], self.spec.blank
        frames = tf.fill(tf.shape(y)[:1], tf.constant(steps, y.dtype))
        if self.spec.frame_counts:
            frames, y = tf.clip_by_value(y[:, 0], 1, steps), y[:, 1:]
        kept = tf.math.cumprod(tf.cast((y != blank) & (y >= 0), y.dtype), axis=1) > 0
        states = self._states(tf.where(kept, y, blank))
        differs = (states[:, 2:] != blank) & (states[:, 2:] != states[:, :-2])
        skips = tf.pad(differs, ((0, 0), (2, 0)), constant_values=False)
        emitted = tf.transpose(self._emitted(tf.cast(tf.nn.log_softmax(x, axis=-1), tf.float64), states), (1, 0, 2))
        place = tf.range(2 * y.shape[1] + 1, dtype=y.dtype)
        never = tf.constant(NEVER, tf.float64)

        def step(reached: tf.Tensor, now: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            logp, running = now
            one = tf.pad(reached, ((0, 0), (1, 0)), constant_values=NEVER)[:, :-1]
            two = tf.pad(reached, ((0, 0), (2, 0)), constant_values=NEVER)[:, :-2]
            ways = tf.stack([reached, one, tf.where(skips, two, never)], axis=0)
            return tf.where(running[:, None], tf.reduce_logsumexp(ways, axis=0) + logp, reached)

        reached = tf.where(place < 2, emitted[0], never)
        if steps > 1:
            running = tf.range(1, steps, dtype=y.dtype)[:, None] < frames
            reached = tf.foldl(step, (emitted[1:], running), initializer=reached, parallel_iterations=1)
        last = 2 * tf.reduce_sum(tf.cast(kept, y.dtype), axis=1, keepdims=True)
        ends = (place == last) | (place == last - 1)
        likelihood = tf.reduce_logsumexp(tf.where(ends, reached, never), axis=1)
        found = tf.where(likelihood > NEVER / 2, likelihood, tf.zeros_like(likelihood))
        return tf.cast(-tf.reduce_sum(found), self.dtype)

    def _states(self, labels: tf.Tensor) -> tf.Tensor:
        """Blank, label, blank, label, …, blank: (N, U) -> (N, 2 U + 1)."""
        blanks = tf.fill(tf.shape(labels), tf.constant(self.spec.blank, labels.dtype))
        pairs = tf.reshape(tf.stack([blanks, labels], axis=2), (-1, 2 * labels.shape[1]))
        return tf.concat([pairs, blanks[:, :1]], axis=1)

    def _emitted(self, logp: tf.Tensor, states: tf.Tensor) -> tf.Tensor:
        """Log-probability of each state in each frame: (N, T, C), (N, S) -> (N, T, S)."""
        if self.exact:  # the gradient of a gather adds up in any order on a GPU
            return tf.matmul(logp, tf.one_hot(states, logp.shape[-1], dtype=logp.dtype), transpose_b=True)
        return tf.gather(logp, states, axis=2, batch_dims=1)
