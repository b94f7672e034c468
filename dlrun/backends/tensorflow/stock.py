"""The model said with Keras' own layers only, so that a ``.keras`` file loads without dlrun.

Good for inference: there every one of these layers means what dlrun's layer means. In training
they would not (Keras' running variance is biased, its dropout draws from a hidden generator).
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dlrun.data.preprocessing import Preprocessing
from dlrun.graph import INPUT, Graph, Layer, Node
from dlrun.layers import linear

Build = Callable[[Any, Node, str], Callable[[Any], Any]]
"""From a layer's description, its node and a name to the Keras layer (or function) that applies it."""

_BUILDS: dict[type[Layer], Build] = {}
DTYPE = "float32"
_DTYPE = DTYPE


def stock(*kinds: type[Layer]) -> Callable[[Build], Build]:
    """Register how these layers are said with Keras' own."""

    def register(build: Build) -> Build:
        _BUILDS.update(dict.fromkeys(kinds, build))
        return build

    return register


def has_stock(kind: type[Layer]) -> bool:
    """Whether a layer can be said with Keras' own."""
    _discover()
    return kind in _BUILDS


@functools.cache
def _discover() -> None:
    """Import the modules beside this one that say further families: ``stock_conv``, ``stock_pool``, …"""
    here = Path(__file__)
    for module in sorted(here.parent.glob(f"{here.stem}_*.py")):
        importlib.import_module(f"{__package__}.{module.stem}")


def stock_model(graph: Graph, weights: dict[str, np.ndarray], how: Preprocessing, stored_dtype: str) -> keras.Model:
    """A functional model of stock layers, from stored samples to outputs.

    Args:
        graph: The model.
        weights: Canonical, by ``<node>.<weight>``.
        how: What is done to stored values.
        stored_dtype: Of its input.
    """
    _discover()
    x = keras.Input(graph.input.shape, dtype=stored_dtype, name=INPUT)
    values = {INPUT: x if graph.input.dtype == "int" else _preprocessed(x, how, stored_dtype)}
    for node in graph.nodes:
        name = f"{node.name}_layer" if node.name in (INPUT, "preprocess", "output") else node.name
        apply = _BUILDS[type(node.layer)](node.layer, node, name)
        inputs = [values[i] for i in node.inputs]
        values[node.name] = apply(inputs if len(inputs) > 1 else inputs[0])
        if held := (*node.weights, *node.shared):
            # Keras keeps a layer's arrays in the order in which dlrun's layers name theirs; shared ones are copied.
            # A build may also give a plain function, which mypy sees; one that has weights gives a layer.
            apply.set_weights([weights[f"{node.shares or node.name}.{w.name}"] for w in held])  # type: ignore[attr-defined]
    output = keras.layers.Identity(dtype=_DTYPE, name="output")(values[graph.outputs[0]])
    return keras.Model(x, output)


def _preprocessed(x: Any, how: Preprocessing, stored_dtype: str) -> Any:
    wide = "float64" if stored_dtype == "float64" else _DTYPE
    if how.fill is not None:
        x = keras.ops.where(keras.ops.isnan(x), keras.ops.convert_to_tensor(how.fill, wide), x)
    rescaled = keras.layers.Rescaling(how.multiplier.tolist(), how.offset.tolist(), dtype=wide, name="preprocess")
    return keras.ops.cast(rescaled(x), _DTYPE) if wide != _DTYPE else rescaled(x)


@stock(linear.Dense)
def _dense(layer: linear.Dense, node: Node, name: str) -> Any:
    return keras.layers.Dense(layer.units, use_bias=layer.bias, dtype=_DTYPE, name=name)
