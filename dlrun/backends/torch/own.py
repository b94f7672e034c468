"""Layers that a user describes, run by the functions they bring."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from dlrun.errors import DlrunError
from dlrun.graph import Node


def own_module(node: Node) -> nn.Module:
    """The module of a user's own layer; its weights have the shapes that the layer declares.

    Raises:
        DlrunError: ``own-layer`` when the layer's own module lacks what it declares.
    """
    layer: Any = node.layer
    if not hasattr(layer, "lower_torch"):
        return Function(node)
    module = layer.lower_torch(node)
    held = {name for m in module.modules() for name in (*m._parameters, *m._buffers)} if _is_module(module) else set()
    missing = [w.name for w in (*node.weights, *node.shared) if w.name not in held]
    if not _is_module(module) or missing:
        wrong = f"its module has no `{missing[0]}`" if missing else f"it returns a `{type(module).__name__}`"
        raise DlrunError(
            "own-layer",
            f"`lower_torch` of the layer `{layer.kind}`: {wrong}.",
            path=node.path,
            hint="Return a torch.nn.Module with a parameter or buffer for each weight, under its name.",
        )
    return module


def _is_module(value: object) -> bool:
    return isinstance(value, nn.Module)


class Function(nn.Module):
    """Holds the weights that a layer declares and calls its ``forward_torch``.

    Args:
        node: A node of a verified graph.

    Shapes: as the layer's; images are (N, C, H, W).
    """

    def __init__(self, node: Node) -> None:
        super().__init__()
        self.layer = node.layer
        self._held = [w.name for w in (*node.weights, *node.shared)]
        for weight in (*node.weights, *node.shared):
            tensor = torch.zeros(weight.shape)
            if weight.trainable:
                self.register_parameter(weight.name, nn.Parameter(tensor))
            else:
                self.register_buffer(weight.name, tensor)

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        layer: Any = self.layer
        return layer.forward_torch(*inputs, **{name: getattr(self, name) for name in self._held})
