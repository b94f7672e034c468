"""What a user's own layer says of itself, beside fields, shapes and weights: what it does on each backend."""

from __future__ import annotations

from dlrun.errors import DlrunError
from dlrun.graph.graph import Graph
from dlrun.graph.layer import Layer

OWN = {"torch": ("forward_torch", "lower_torch"), "tensorflow": ("forward_tensorflow", "lower_tensorflow")}
"""The methods of a layer's class that make it run on a backend, either of each pair.

``forward_torch(self, *inputs, **weights)`` computes the output from tensors; images are (N, C, H, W). The weights
are those that ``weights`` names, in the shapes it says. ``forward_tensorflow`` is the same with channels last.
``lower_torch(self, node)`` returns a ``torch.nn.Module`` that holds parameters or buffers of those names and shapes,
``lower_tensorflow(self, node, policy)`` a ``dlrun.backends.tensorflow.lowering.Lowered``, for what a plain function
cannot say.
"""


def missing_forms(graph: Graph, backend: str) -> list[DlrunError]:
    """A mistake for each user's own layer that does not run on a backend."""
    found: dict[str, DlrunError] = {}
    for node in graph.nodes:
        cls: type[Layer] = type(node.layer)
        theirs = [name for name, methods in OWN.items() if any(hasattr(cls, m) for m in methods)]
        if cls.__module__.startswith("dlrun.") or backend in theirs or cls.kind in found:
            continue
        other = f"Use `backend={theirs[0]}`, or add" if theirs else "Add"
        found[cls.kind] = DlrunError(
            "no-lowering",
            f"the layer `{cls.kind}` does not say what it does on `{backend}`.",
            path=node.path,
            hint=f"{other} the method `{OWN[backend][0]}` to its class `{cls.__name__}`.",
        )
    return list(found.values())
