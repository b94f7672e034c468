"""Layers that a user describes, run by the functions they bring."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from dlrun.backends.tensorflow.lowering import Lowered
from dlrun.errors import DlrunError
from dlrun.graph import Node


def own_layer(node: Node, policy: str) -> keras.layers.Layer:
    """The Keras layer of a user's own layer.

    Raises:
        DlrunError: ``own-layer`` when the layer's own Keras layer lacks what it declares.
    """
    layer: Any = node.layer
    if not hasattr(layer, "lower_tensorflow"):
        return Function(layer, node, policy)
    made = layer.lower_tensorflow(node, policy)
    missing = [w.name for w in node.weights if not hasattr(made, w.name)]
    if not isinstance(made, keras.layers.Layer) or missing:
        wrong = f"its layer has no `{missing[0]}`" if missing else f"it returns a `{type(made).__name__}`"
        raise DlrunError(
            "own-layer",
            f"`lower_tensorflow` of the layer `{layer.kind}`: {wrong}.",
            path=node.path,
            hint="Return a subclass of `dlrun.backends.tensorflow.lowering.Lowered`, which holds the weights.",
        )
    return made


class Function(Lowered):
    """Holds the weights that a layer declares and calls its ``forward_tensorflow``.

    Shapes: as the layer's, channels last.
    """

    def call(self, inputs: tf.Tensor | list[tf.Tensor]) -> tf.Tensor:
        layer: Any = self.layer
        read = inputs if isinstance(inputs, list) else [inputs]
        weights = {w.name: tf.convert_to_tensor(getattr(self, w.name)) for w in (*self.node.weights, *self.node.shared)}
        return layer.forward_tensorflow(*read, **weights)
