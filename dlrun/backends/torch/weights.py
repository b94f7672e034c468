"""Canonical weights (channels last, kernels (k..., in, out)) to and from torch's own layout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from dlrun.backends.torch.lowering import attribute
from dlrun.errors import DlrunError
from dlrun.graph import Graph, Weight

_TO_NATIVE = {2: (1, 0), 4: (3, 2, 0, 1)}
_TO_CANONICAL = {2: (1, 0), 4: (2, 3, 1, 0)}
"""Axis orders of kernels: (in, out) <-> (out, in); HWIO <-> OIHW."""


@dataclass(frozen=True)
class Bound:
    """A canonical weight and the native tensor that holds it.

    Args:
        name: Canonical name, ``<node>.<weight>``.
        weight: Its description.
        owner: The module it belongs to.
        attribute: Its name there.
    """

    name: str
    weight: Weight
    owner: nn.Module
    attribute: str

    @property
    def tensor(self) -> torch.Tensor:
        """The native tensor."""
        return getattr(self.owner, self.attribute)

    def write(self, tensor: torch.Tensor, value: np.ndarray) -> None:
        """Copy a canonical array into a tensor of this weight's native shape (the weight or a slot)."""
        source = torch.from_numpy(np.array(value, order="C"))
        with torch.no_grad():
            tensor.copy_(source.permute(_TO_NATIVE[value.ndim]) if self._is_kernel else source)

    def read(self, tensor: torch.Tensor) -> np.ndarray:
        """A canonical copy of a tensor of this weight's native shape."""
        value = tensor.detach().cpu()
        if self._is_kernel:
            value = value.permute(_TO_CANONICAL[value.dim()])
        return value.numpy().copy(order="C")

    @property
    def _is_kernel(self) -> bool:
        return self.weight.name == "kernel"


def bind(graph: Graph, parts: Mapping[str, nn.Module]) -> list[Bound]:
    """Every weight of the graph with its tensor, in graph order.

    Args:
        graph: The model's description.
        parts: The native module of each node.
    """
    bound = []
    for node in graph.nodes:
        for weight in node.weights:
            name = attribute(type(node.layer), weight.name)
            owner = next(m for m in parts[node.name].modules() if name in m._parameters or name in m._buffers)
            bound.append(Bound(f"{node.name}.{weight.name}", weight, owner, name))
    return bound


def mismatches(what: str, given: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]) -> Iterable[str]:
    """What does not fit the model, one phrase each."""
    for name, value in given.items():
        if name not in shapes:
            yield f"{what} `{name}` is not in the model"
        elif np.shape(value) != shapes[name]:
            yield f"{what} `{name}` has shape {np.shape(value)}, the model's has {shapes[name]}"


def refuse(problems: Iterable[str]) -> None:
    """Raise ``checkpoint-mismatch`` if there are any."""
    found = list(problems)
    if found:
        more = f"; and {len(found) - 8} more" if len(found) > 8 else ""
        raise DlrunError(
            "checkpoint-mismatch",
            "the checkpoint does not fit this model: " + "; ".join(found[:8]) + more + ".",
            hint="Use the recipe the checkpoint was written with.",
        )


def load(bound: Iterable[Bound], values: Mapping[str, np.ndarray]) -> None:
    """Write canonical weights into the model; weights not named keep their value.

    Raises:
        DlrunError: ``checkpoint-mismatch`` naming every unknown weight and wrong shape.
    """
    by_name = {b.name: b for b in bound}
    refuse(mismatches("weight", values, {name: b.weight.shape for name, b in by_name.items()}))
    for name, value in values.items():
        by_name[name].write(by_name[name].tensor, np.asarray(value))
