"""From a graph to a Keras functional model."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import tensorflow as tf

from dlrun.backends.tensorflow.dropout import Draws
from dlrun.backends.tensorflow.lowering import lower, scope_name
from dlrun.backends.tensorflow.precision import policy_of
from dlrun.backends.tensorflow.regularization import Dropout
from dlrun.graph import INPUT, Graph


@dataclass(frozen=True)
class Network:
    """A Keras model and how to reach what the graph knows of it.

    Args:
        model: The functional model; layers carry the nodes' names.
        variables: Every Keras variable by its canonical name, in graph order.
        draws: Where its dropout layers read their keys.
        dropouts: The names of the dropout nodes, in the order of their keys.
    """

    model: keras.Model
    variables: dict[str, keras.Variable]
    draws: Draws
    dropouts: list[str]

    @property
    def weights(self) -> dict[str, tf.Variable]:
        """The TensorFlow variables by canonical name."""
        return {name: variable.value for name, variable in self.variables.items()}


def build(graph: Graph, precision: str, name: str = "model", portable_dropout: bool = False) -> Network:
    """The graph as a Keras model, weights still zero.

    Args:
        graph: A verified model.
        precision: The recipe's precision.
        name: Name of the Keras model.
        portable_dropout: Whether dropout masks have the same bits on every backend.
    """
    policy = policy_of(precision)
    dtype = keras.DTypePolicy(policy).variable_dtype if graph.input.dtype == "float" else "int64"
    network_input = keras.Input(shape=graph.input.shape, dtype=dtype, name=INPUT)
    values = {INPUT: network_input}
    draws = Draws(portable_dropout)
    variables: dict[str, keras.Variable] = {}
    dropouts: list[str] = []
    for node in graph.nodes:
        layer = lower(node, policy)
        if isinstance(layer, Dropout):
            layer.draws, layer.index = draws, len(dropouts)
            dropouts.append(node.name)
        read = [values[i] for i in node.inputs]
        values[node.name] = layer(read[0] if len(read) == 1 else read)
        variables |= {f"{node.name}.{w.name}": getattr(layer, w.name) for w in node.weights}
    model = keras.Model(network_input, values[graph.nodes[-1].name], name=scope_name(name))
    return Network(model, variables, draws, dropouts)
