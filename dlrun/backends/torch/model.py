"""From the graph to a native module: ``nn.Sequential`` for a chain, a module that walks the graph otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from dlrun.backends.torch.layout import channels_last_kernels
from dlrun.backends.torch.lowering import lower
from dlrun.backends.torch.weights import Bound, bind, load, tie
from dlrun.graph import INPUT, Graph
from dlrun.models.native import is_native


@dataclass(frozen=True)
class Model:
    """A native model and how to reach its weights.

    Args:
        module: (N, *) -> (N, *); images are (N, C, H, W). A tuple where the graph has several outputs.
        bound: Every canonical weight with its tensor.
        parts: The module of each node.
    """

    module: nn.Module
    bound: list[Bound]
    parts: Mapping[str, nn.Module]


def build(graph: Graph, weights: Mapping[str, np.ndarray], device: torch.device, dtype: torch.dtype) -> Model:
    """The graph as a native model in training mode.

    Args:
        graph: The model's description.
        weights: Every weight by canonical name, in canonical layout.
        device: Where it lives.
        dtype: Format of its weights.
    """
    if is_native(graph):
        from dlrun.backends.torch.foreign import build_foreign

        return build_foreign(graph, weights, device, dtype)
    parts = {node.name: lower(node) for node in graph.nodes}
    module = _chain(graph, parts) if graph.sequential else None
    module = module or GraphModule(graph, parts)
    module.to(device=device, dtype=dtype)
    channels_last_kernels(module)
    tie(graph, parts)
    model = Model(module, bind(graph, parts), parts)
    load(model.bound, weights)
    return model


def native_name(parent: nn.Module, part: str) -> str:
    """A layer's name as an attribute of ``parent``; an underscore is added where torch has taken it."""
    while hasattr(parent, part):
        part += "_"
    return part


def _chain(graph: Graph, parts: Mapping[str, nn.Module]) -> nn.Sequential | None:
    """Nested ``nn.Sequential`` by the dots in names, or None where a scope's layers are interrupted."""
    root = nn.Sequential()
    scopes: dict[str, nn.Sequential] = {"": root}
    opened = [""]
    for node in graph.nodes:
        *outer, leaf = node.name.split(".")
        path = [".".join(outer[: i + 1]) for i in range(len(outer))]
        while opened[-1] and opened[-1] not in path:
            opened.pop()
        for scope, part in zip(path, outer, strict=True):
            if scope not in scopes:
                scopes[scope] = nn.Sequential()
                _add(scopes[opened[-1]], part, scopes[scope])
                opened.append(scope)
            elif scope not in opened:
                return None
        _add(scopes[opened[-1]], leaf, parts[node.name])
    return root


def _add(parent: nn.Module, part: str, child: nn.Module) -> None:
    parent.add_module(native_name(parent, part), child)


class Scope(nn.Module):
    """Layers that share a name prefix; called one by one by the model that holds them."""


class GraphModule(nn.Module):
    """A model whose layers read any earlier ones.

    Args:
        graph: The model's description.
        parts: The native module of each node.

    Shapes: (N, *) -> (N, *).
    """

    def __init__(self, graph: Graph, parts: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self._walk: list[tuple[nn.Module, tuple[str, ...], str, tuple[str, ...]]] = []
        scopes: dict[str, nn.Module] = {"": self}
        for node in graph.nodes:
            prefix = ""
            *outer, leaf = node.name.split(".")
            for part in outer:
                parent, prefix = scopes[prefix], f"{prefix}.{part}"
                if prefix not in scopes:
                    scopes[prefix] = Scope()
                    _add(parent, part, scopes[prefix])
            _add(scopes[prefix], leaf, parts[node.name])
        self._outputs = graph.outputs
        last = {name: i for i, node in enumerate(graph.nodes) for name in node.inputs if name not in graph.outputs}
        self._walk += [
            (
                parts[node.name],
                node.inputs,
                node.name,
                tuple(name for name in dict.fromkeys(node.inputs) if last.get(name) == i),
            )
            for i, node in enumerate(graph.nodes)
        ]

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        values = {INPUT: x}
        for part, inputs, name, finished in self._walk:
            x = part(*[values[i] for i in inputs])
            for done in finished:  # free what no later layer reads
                del values[done]
            values[name] = x
        if len(self._outputs) == 1:
            return values[self._outputs[0]]
        return tuple(values[name] for name in self._outputs)
