"""Numbers that a model draws for itself, as they are in evaluation, said with Keras' own layers and operations."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from dlrun.backends.tensorflow.stock import DTYPE, stock
from dlrun.graph import Node
from dlrun.layers import noise


@stock(noise.NormalNoise)
def _normal_noise(layer: noise.NormalNoise, node: Node, name: str) -> Any:
    rows = keras.layers.Embedding(noise.ROWS, layer.units, dtype=DTYPE, name=name)
    rows.build((None,))
    rows.set_weights([noise.evaluation_rows(node.name, layer.units)])
    first = keras.layers.Flatten(dtype=DTYPE, name=f"{name}_flat")

    def apply(x: Any) -> Any:
        places = ops.cumsum(ops.ones_like(first(x)[:, 0]), axis=0) - 1  # the batch's size has no number here
        return rows(ops.cast(places % noise.ROWS, "int32"))

    return apply
