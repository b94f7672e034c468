"""From a graph to a Keras functional model."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import keras
import tensorflow as tf

from dlrun.backends.tensorflow.dropout import Drawing, Draws
from dlrun.backends.tensorflow.lowering import lower, scope_name
from dlrun.backends.tensorflow.precision import policy_of
from dlrun.graph import INPUT, Graph
from dlrun.models.native import is_native


@dataclass(frozen=True)
class Network:
    """A Keras model and how to reach what the graph knows of it.

    Args:
        model: The functional model; a list of outputs where the graph has several; layers carry the nodes' names.
        variables: Every Keras variable by its canonical name, in graph order.
        draws: Where the layers that draw in training read their keys.
        dropouts: The names of the nodes that draw, in the order of their keys.
    """

    model: keras.Model
    variables: dict[str, keras.Variable]
    draws: Draws
    dropouts: list[str]

    @property
    def weights(self) -> dict[str, tf.Variable]:
        """The TensorFlow variables by canonical name."""
        return {name: variable.value for name, variable in self.variables.items()}


class Part:
    """Some of a model's layers, called in the graph's order.

    Keras' own order is another where a model has several outputs, and layers that share running statistics would
    move them in that one.

    Args:
        network: The whole model.
        graph: Those of its nodes that are called, and which of them are read.

    Shapes: (N, *) -> (N, *), a list where the graph has several outputs.
    """

    def __init__(self, network: Network, graph: Graph) -> None:
        layers = [(node, network.model.get_layer(scope_name(node.name))) for node in graph.nodes]
        self._walk = [(n, layer, "training" in inspect.signature(layer.call).parameters) for n, layer in layers]
        self._outputs = graph.outputs

    def __call__(self, x: tf.Tensor, training: bool) -> tf.Tensor | list[tf.Tensor]:
        values = {INPUT: x}
        for node, layer, differs in self._walk:
            read = [values[i] for i in node.inputs]
            fields = {"training": training} if differs else {}
            values[node.name] = layer(read[0] if len(read) == 1 else read, **fields)
        found = [values[name] for name in self._outputs]
        return found[0] if len(found) == 1 else found


def build(graph: Graph, precision: str, name: str = "model", portable_dropout: bool = False) -> Network:
    """The graph as a Keras model, weights still zero.

    Args:
        graph: A verified model.
        precision: The recipe's precision.
        name: Name of the Keras model.
        portable_dropout: Whether dropout masks have the same bits on every backend.
    """
    if is_native(graph):
        from dlrun.backends.tensorflow.foreign import build_foreign

        return build_foreign(graph, precision)
    policy = policy_of(precision)
    dtype = keras.DTypePolicy(policy).variable_dtype if graph.input.dtype == "float" else "int64"
    network_input = keras.Input(shape=graph.input.shape, dtype=dtype, name=INPUT)
    values = {INPUT: network_input}
    draws = Draws(portable_dropout)
    variables: dict[str, keras.Variable] = {}
    dropouts: list[str] = []
    layers: dict[str, keras.layers.Layer] = {}
    for node in graph.nodes:
        layer = layers[node.name] = lower(node, policy)
        for w in node.shared:
            assert node.shares is not None
            setattr(layer, w.name, getattr(layers[node.shares], w.name))
        if isinstance(layer, Drawing):
            layer.draws, layer.index = draws, len(dropouts)
            dropouts.append(node.name)
        read = [values[i] for i in node.inputs]
        values[node.name] = layer(read[0] if len(read) == 1 else read)
        variables |= {f"{node.name}.{w.name}": getattr(layer, w.name) for w in node.weights}
    outputs = [values[output] for output in graph.outputs]
    model = keras.Model(network_input, outputs[0] if len(outputs) == 1 else outputs, name=scope_name(name))
    return Network(model, variables, draws, dropouts)
