"""Canonical weights (channels last, kernels (k..., in, out)) to and from torch's own layout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from dlrun.backends.mismatch import mismatches, refuse
from dlrun.backends.torch.lowering import attribute, is_own
from dlrun.graph import Graph, Weight


def _native_kernel(kernel: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """(k..., in, out) -> (out, in, k...); a depthwise (k..., C, m) is a kernel of C groups, (k..., 1, C m)."""
    kernel = kernel.reshape(*kernel.shape[:-2], shape[1], shape[0])
    return kernel.permute(-1, -2, *range(kernel.dim() - 2))


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
            tensor.copy_(_native_kernel(source, tensor.shape) if self._is_kernel else source)

    def read(self, tensor: torch.Tensor) -> np.ndarray:
        """A canonical copy of a tensor of this weight's native shape."""
        return self.canonical(tensor.detach()).cpu().numpy().copy(order="C")

    def canonical(self, tensor: torch.Tensor) -> torch.Tensor:
        """A view of a tensor of this weight's native shape, in canonical layout."""
        if not self._is_kernel:
            return tensor
        return tensor.permute(*range(2, tensor.dim()), 1, 0).view(self.weight.shape)

    @property
    def _is_kernel(self) -> bool:
        return "kernel" in self.weight.name


class PlainBound(Bound):
    """A weight that torch keeps in its canonical layout, whatever its name."""

    @property
    def _is_kernel(self) -> bool:
        return False


def bind(graph: Graph, parts: Mapping[str, nn.Module]) -> list[Bound]:
    """Every weight of the graph with its tensor, in graph order.

    Args:
        graph: The model's description.
        parts: The native module of each node.
    """
    bound = []
    for node in graph.nodes:
        for weight in node.weights:
            owner, name = holder(type(node.layer), parts[node.name], weight.name)
            kind = PlainBound if is_own(type(node.layer)) else Bound
            bound.append(kind(f"{node.name}.{weight.name}", weight, owner, name))
            tensor = getattr(owner, name)
            if isinstance(tensor, nn.Parameter):
                tensor.requires_grad_(weight.trainable)
    return bound


def holder(cls: type, part: nn.Module, weight: str) -> tuple[nn.Module, str]:
    """The module within ``part`` that holds a layer's weight, and its attribute's name."""
    name = attribute(cls, weight)
    return next(m for m in part.modules() if name in m._parameters or name in m._buffers), name


def tie(graph: Graph, parts: Mapping[str, nn.Module]) -> None:
    """Give layers that share weights the very tensors of their owner."""
    kinds = {node.name: type(node.layer) for node in graph.nodes}
    for node in graph.nodes:
        if node.shares is None:
            continue
        for weight in node.shared:
            theirs, native = holder(kinds[node.shares], parts[node.shares], weight.name)
            mine, own = holder(type(node.layer), parts[node.name], weight.name)
            tensor = getattr(theirs, native)
            kept = mine._parameters if own in mine._parameters else mine._buffers
            assert kept[own] is not None and kept[own].shape == tensor.shape, (node.name, weight.name)
            kept[own] = tensor


def load(bound: Iterable[Bound], values: Mapping[str, np.ndarray]) -> None:
    """Write canonical weights into the model; weights not named keep their value.

    Raises:
        DlrunError: ``checkpoint-mismatch`` naming every unknown weight and wrong shape.
    """
    by_name = {b.name: b for b in bound}
    refuse(mismatches("weight", values, {name: b.weight.shape for name, b in by_name.items()}))
    for name, value in values.items():
        by_name[name].write(by_name[name].tensor, np.asarray(value))
