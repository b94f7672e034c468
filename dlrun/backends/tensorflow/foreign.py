"""A user's own ``keras.Model`` in the place of a graph."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
import tensorflow as tf

from dlrun.backends.foreign import failed, with_weights, wrong_answer, wrong_type
from dlrun.backends.tensorflow.dropout import Draws
from dlrun.backends.tensorflow.model import Network
from dlrun.backends.tensorflow.precision import policy_of
from dlrun.errors import DlrunError
from dlrun.graph import Graph, Weight
from dlrun.models.native import NODE, TARGET, NativeLayer
from dlrun.plan import Plan
from dlrun.randomness import derive
from dlrun.targets import make

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
    """The plan with the weights of its native model in the graph: see ``with_weights``."""
    return with_weights(
        plan,
        lambda layer, graph: _built(layer, graph, plan.recipe.precision),
        lambda model: {
            name: Weight(name.rpartition(".")[2], tuple(v.shape), "zeros", trainable=v.trainable)
            for name, v in named(model).items()
        },
    )


def build_foreign(graph: Graph, precision: str) -> Network:
    """The user's model; what ``model.build`` is for graphs of layers.

    Args:
        graph: The graph of a native model.
        precision: The recipe's precision.
    """
    layer = graph.nodes[-1].layer
    assert isinstance(layer, NativeLayer)
    model = layer.made.pop() if layer.made else _built(layer, graph, precision)
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


def _built(layer: NativeLayer, graph: Graph, precision: str) -> keras.Model:
    """The user's model with its weights, which are drawn from the recipe's seed."""
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
            raise wrong_type(layer, model, "tensorflow", "keras.Model")
        y = _answer(model, x, layer)
    finally:
        keras.config.set_floatx(before[1])
        keras.config.set_dtype_policy(before[0])
    _check(model, y, graph, layer)
    return model


def _answer(model: keras.Model, x: np.ndarray, layer: NativeLayer) -> object:
    try:
        return model(tf.constant(x), training=False)
    except Exception as error:  # whatever the user's code raises
        raise failed(layer, x.shape, error, "(N, height, width, channels)") from error


def _check(model: keras.Model, y: object, graph: Graph, layer: NativeLayer) -> None:
    if not tf.is_tensor(y) or tuple(y.shape) != (2, *graph.output.shape):
        raise wrong_answer(layer, y, y.shape if tf.is_tensor(y) else None, graph.output)
    if model.losses:
        raise DlrunError(
            "native-losses",
            f"`{layer.target[TARGET]}` adds losses of its own (regularizers, say), but dlrun minimises the recipe's "
            "loss alone.",
            path=layer.place,
            hint="Remove them, and say penalties by `model.regularizers`.",
        )
