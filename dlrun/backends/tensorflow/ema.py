"""The moving average of weights that evaluation uses."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf


class MovingAverage:
    """e <- d e + (1 - d) w after every update, the first of which copies; d the decay.

    Args:
        decay: d.
        weights: Trainable variables by canonical name.
    """

    def __init__(self, decay: float, weights: Mapping[str, tf.Variable]) -> None:
        self.averages = {name: tf.Variable(w, trainable=False) for name, w in weights.items()}
        self._decay = decay
        self._weights = dict(weights)
        self._started = tf.Variable(False, trainable=False)

    def update(self) -> None:
        """Add to the graph: take the weights after an update into the average."""
        started = self._started.read_value()
        for name, w in self._weights.items():
            old = tf.where(started, tf.constant(self._decay, w.dtype), tf.constant(0, w.dtype))
            new = tf.where(started, tf.constant(1 - self._decay, w.dtype), tf.constant(1, w.dtype))
            average = self.averages[name]
            average.assign(old * average + new * w)
        self._started.assign(True)

    @property
    def started(self) -> bool:
        """Whether any update has happened."""
        return bool(self._started.numpy())

    @started.setter
    def started(self, value: bool) -> None:
        self._started.assign(value)
