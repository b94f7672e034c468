"""Layers that act only in training."""

from __future__ import annotations

import tensorflow as tf

from dlrun.backends.tensorflow.dropout import Draws
from dlrun.backends.tensorflow.lowering import Lowered, lowers
from dlrun.layers import regularization


@lowers(regularization.Dropout)
class Dropout(Lowered):
    """Zeroes elements in training; the model sets ``draws`` and the layer's ``index`` among them."""

    draws: Draws
    index: int

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Shapes: (N, *) -> (N, *)."""
        return self.draws.apply(x, self.layer.rate, self.index) if training and self.layer.rate else x
