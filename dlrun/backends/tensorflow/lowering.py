"""Which class makes the native form of each described thing: layers, losses, optimizers."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pkgutil
import re
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import keras

import dlrun.layers
import dlrun.losses
from dlrun.graph import Layer, Node
from dlrun.graph.own import OWN

L = TypeVar("L", bound=Callable[..., Any])

_lowerings: dict[type, Callable[..., Any]] = {}


def lowers(cls: type) -> Callable[[L], L]:
    """Register the lowering of a described class, itself a class (a Keras layer, say) or a function.

    Args:
        cls: The layer, loss or optimizer class. A layer's lowering is called with (layer, node, policy).
    """

    def register(lowering: L) -> L:
        assert cls not in _lowerings, f"{cls.__name__} lowered twice"
        _lowerings[cls] = lowering
        return lowering

    return register


def lowering(cls: type) -> Callable[..., Any]:
    """The lowering registered for a class; every valid plan has one for each of its parts."""
    _discover()
    return _lowerings[cls]


def lowered() -> frozenset[type]:
    """Every class that has a lowering."""
    _discover()
    return frozenset(_lowerings)


def lower(node: Node, policy: str) -> keras.layers.Layer:
    """The Keras layer of a node, its weights zero.

    Args:
        node: A node of a verified graph.
        policy: A Keras dtype policy: ``float32``, ``float64``, ``mixed_bfloat16`` or ``mixed_float16``.
    """
    if is_own(type(node.layer)):
        from dlrun.backends.tensorflow.own import own_layer

        return own_layer(node, policy)
    return lowering(type(node.layer))(node.layer, node, policy)


def is_own(cls: type) -> bool:
    """Whether a layer is a user's own, which says itself what it does."""
    if cls in _lowerings:
        return False
    _discover()
    return cls not in _lowerings and any(hasattr(cls, name) for name in OWN["tensorflow"])


@functools.cache
def _discover() -> None:
    """Import the modules named like those of ``dlrun.layers`` and ``dlrun.losses``, and optimizers."""
    families = [m.name for m in pkgutil.iter_modules(dlrun.layers.__path__)]
    kinds = [f"losses.{m.name}" for m in pkgutil.iter_modules(dlrun.losses.__path__)]
    for family in (*families, *kinds, "optimizers"):
        name = f"{__package__}.{family}"
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(name)


def scope_name(name: str) -> str:
    """A name that TensorFlow accepts as a scope; that of a node changes only if it starts with an underscore."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    return f".{name}" if name.startswith(("_", "-")) else name


class Lowered(keras.layers.Layer):
    """A Keras layer that holds a node's weights under their canonical names, in their canonical shapes.

    Args:
        layer: The description, kept as ``self.layer``.
        node: Its place in the graph.
        policy: Keras dtype policy of the model.
    """

    mixed: ClassVar[bool] = False
    """Whether inputs and weights are cast to a mixed policy's low precision; otherwise inputs stay as they come."""

    def __init__(self, layer: Layer, node: Node, policy: str) -> None:
        weights = keras.DTypePolicy(policy).variable_dtype
        super().__init__(name=scope_name(node.name), dtype=policy if self.mixed else weights, autocast=self.mixed)
        self.layer = layer
        self.node = node
        for weight in node.weights:
            variable = self.add_weight(
                name=weight.name,
                shape=weight.shape,
                dtype=weights,
                initializer="zeros",
                trainable=weight.trainable,
            )
            setattr(self, weight.name, variable)
        self.built = True

    def compute_output_spec(self, inputs: Any, **_: Any) -> keras.KerasTensor:
        """Shape from the graph, which has inferred it already."""
        first = inputs[0] if isinstance(inputs, list) else inputs
        dtype = self.compute_dtype if self.mixed else first.dtype
        return keras.KerasTensor((None, *self.node.output.shape), dtype=dtype)
