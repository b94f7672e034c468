"""A user's own ``keras.Model`` in the place of a graph."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
import tensorflow as tf

from dlrun.backends.tensorflow.dropout import Draws
from dlrun.backends.tensorflow.model import Network
from dlrun.backends.tensorflow.precision import policy_of
from dlrun.errors import DlrunError, DlrunErrors
from dlrun.graph import Graph, Node, TensorType, Weight
from dlrun.models.native import NODE, NativeLayer, is_native
from dlrun.plan import Plan
from dlrun.randomness import derive
from dlrun.targets import make
from dlrun.update import ruled

_MASK32 = 0xFFFFFFFF
_SEED_STATE = "seed_generator_state"
"""What Keras calls the variable of a random layer."""


class SeedStates(Draws):
    """Draws of Keras' own random layers: their generators are set for each part of each step.

    Args:
        states: The generators' variables, uint32 (2,): seed and count.
    """

    def __init__(self, states: list[keras.Variable]) -> None:
        super().__init__(portable=False)
        self._states = states

    @contextmanager
    def at(self, keys: tf.Tensor, part: tf.Tensor | int, first_sample: tf.Tensor | int) -> Iterator[None]:
        """Draw for one part of one step's batch: keys uint64 (generators,)."""
        first = tf.cast(part, tf.uint32) * tf.constant(1 << 16, tf.uint32)  # a layer may draw often in one pass
        for i, state in enumerate(self._states):
            low = tf.cast(tf.bitwise.bitwise_and(keys[i], tf.constant(_MASK32, tf.uint64)), tf.uint32)
            state.assign(tf.stack([low, first]))
        yield


def realised(plan: Plan) -> Plan:
    """The plan with the weights of its native model in the graph; a plan of layers is as it was.

    Raises:
        DlrunError: ``native-type``, ``native-output``, ``target-failed``; DlrunErrors: patterns that match no weight.
    """
    if not is_native(plan.graph):
        return plan
    main = plan.graph.nodes[-1]
    layer = main.layer
    assert isinstance(layer, NativeLayer)
    model = _built(plan.graph, layer, plan.recipe.precision)
    layer.made.append(model)
    weights: dict[str, list[Weight]] = {}
    for name, variable in named(model).items():
        owner, _, leaf = name.rpartition(".")
        weight = Weight(leaf, tuple(variable.shape), "zeros", trainable=variable.trainable)
        weights.setdefault(owner, []).append(weight)
    main = dataclasses.replace(main, weights=tuple(weights.pop(NODE, ())))
    holders = [Node(name, layer, (), (), TensorType(()), tuple(own), main.path) for name, own in weights.items()]
    graph, errors = ruled(plan.recipe, dataclasses.replace(plan.graph, nodes=(*holders, main)))
    if errors:
        raise DlrunErrors(errors)
    return dataclasses.replace(plan, graph=graph)


def build_foreign(graph: Graph, precision: str) -> Network:
    """The user's model; what ``model.build`` is for graphs of layers.

    Args:
        graph: The graph of a native model.
        precision: The recipe's precision.
    """
    layer = graph.nodes[-1].layer
    assert isinstance(layer, NativeLayer)
    model = layer.made.pop() if layer.made else _built(graph, layer, precision)
    states = [v for v in model.variables if v.path.rpartition("/")[2] == _SEED_STATE]
    return Network(model, named(model), SeedStates(states), [f"native/{i}" for i in range(len(states))])


def named(model: keras.Model) -> dict[str, keras.Variable]:
    """Every weight by its variable path, the variable's own name after a dot; repeated paths are numbered."""
    found: dict[str, keras.Variable] = {}
    for variable in model.weights:
        owner, _, leaf = variable.path.rpartition("/")
        name, number = f"{owner or NODE}.{leaf}", 2
        while name in found:
            name, number = f"{owner or NODE}__{number}.{leaf}", number + 1
        found[name] = variable
    return found


def _built(graph: Graph, layer: NativeLayer, precision: str) -> keras.Model:
    """The user's model with its weights, which are drawn from the recipe's seed."""
    name = layer.target["_target_"]
    dtype = "float64" if precision == "float64" else "float32"
    x = np.zeros((2, *graph.input.shape), "int64" if graph.input.dtype == "int" else dtype)
    keras.utils.clear_session(free_memory=False)  # automatic names count from the start, so that they come back
    before = keras.config.dtype_policy(), keras.config.floatx()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(policy_of(precision))
    try:
        keras.utils.set_random_seed(derive(layer.seed, "native", "weights") & _MASK32)
        model = make(layer.target, layer.place)
        if not isinstance(model, keras.Model):
            raise DlrunError(
                "native-type",
                f"`{name}` made a `{type(model).__name__}`; the tensorflow backend runs keras.Model.",
                path=layer.place,
                hint="Choose the backend that it is made for, or give each backend its own target.",
            )
        y = _answer(model, x, name, layer)
    finally:
        keras.config.set_floatx(before[1])
        keras.config.set_dtype_policy(before[0])
    _check(model, y, graph, name, layer)
    return model


def _answer(model: keras.Model, x: np.ndarray, name: str, layer: NativeLayer) -> object:
    try:
        return model(tf.constant(x), training=False)
    except Exception as error:  # whatever the user's code raises
        raise DlrunError(
            "target-failed",
            f"`{name}` fails on samples of shape {x.shape}: {type(error).__name__}: {' '.join(str(error).split())}",
            path=layer.place,
            hint="Images arrive as (N, height, width, channels), everything else as the data has it.",
        ) from error


def _check(model: keras.Model, y: object, graph: Graph, name: str, layer: NativeLayer) -> None:
    if not tf.is_tensor(y) or tuple(y.shape) != (2, *graph.output.shape):
        found = f"(N, {', '.join(map(str, y.shape[1:]))})" if tf.is_tensor(y) else f"a `{type(y).__name__}`"
        raise DlrunError(
            "native-output",
            f"`{name}` answers with {found}; the data and loss need {graph.output}.",
            path=layer.place,
            hint='Give it the number of outputs (`classes: "${data.classes}"`), or say its shape by `model.output`.',
        )
    if model.losses:
        raise DlrunError(
            "native-losses",
            f"`{name}` adds losses of its own (regularizers, say), but dlrun minimises the recipe's loss alone.",
            path=layer.place,
            hint="Remove them, and say penalties by `model.regularizers`.",
        )
