"""Which function makes the native form of each described thing: layers, losses, optimizers."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable
from typing import Any, TypeVar

from torch import nn

import dlrun.layers
import dlrun.losses
from dlrun.graph import Node
from dlrun.graph.own import OWN

F = TypeVar("F", bound=Callable[..., Any])

_lowerings: dict[type, Callable[..., Any]] = {}
_attributes: dict[type, dict[str, str]] = {}


def lowers(cls: type, **attributes: str) -> Callable[[F], F]:
    """Register the lowering of a described class.

    Args:
        cls: The layer, loss or optimizer class.
        attributes: A layer's weights whose native attribute has another name, e.g. ``kernel="weight"``.
    """

    def register(function: F) -> F:
        assert cls not in _lowerings, f"{cls.__name__} lowered twice"
        _lowerings[cls] = function
        _attributes[cls] = attributes
        return function

    return register


def lowering(cls: type) -> Callable[..., Any]:
    """The function registered for a class; every valid plan has one for each of its parts."""
    _discover()
    return _lowerings[cls]


def lowered() -> frozenset[type]:
    """Every class that has a lowering."""
    _discover()
    return frozenset(_lowerings)


def lower(node: Node) -> nn.Module:
    """The native module of a node, its weights uninitialised."""
    if is_own(type(node.layer)):
        from dlrun.backends.torch.own import own_module

        return own_module(node)
    module = lowering(type(node.layer))(node.layer, node)
    assert isinstance(module, nn.Module)
    return module


def is_own(cls: type) -> bool:
    """Whether a layer is a user's own, which says itself what it does."""
    if cls in _lowerings:
        return False
    _discover()
    return cls not in _lowerings and any(hasattr(cls, name) for name in OWN["torch"])


def attribute(cls: type, weight: str) -> str:
    """The native attribute that holds a layer's weight."""
    return _attributes.get(cls, {}).get(weight, weight)


def _discover() -> None:
    """Import the modules named like those of ``dlrun.layers`` and ``dlrun.losses``, and optimizers."""
    families = [m.name for m in pkgutil.iter_modules(dlrun.layers.__path__)]
    kinds = [f"losses.{m.name}" for m in pkgutil.iter_modules(dlrun.losses.__path__)]
    for family in (*families, *kinds, "optimizers"):
        name = f"{__package__}.{family}"
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(name)
