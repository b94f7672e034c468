"""Where a difference starts: which layer, and in which part of an update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dlrun.compare.differences import Differences
from dlrun.errors import DlrunError

THRESHOLDS = {
    "float64": {"forward": 1e-10, "backward": 1e-9, "update": 1e-6},
    "float32": {"forward": 1e-4, "backward": 1e-3, "update": 0.3},
}
"""Shares of the largest value from which on a difference is more than rounding. Optimizers that divide by
a gradient's size turn rounding of the smallest gradients into whole steps, so updates get more room."""


@dataclass(frozen=True)
class Cause:
    """The first thing that differs by more than rounding.

    Args:
        part: ``start``, ``forward``, ``loss``, ``backward``, ``update`` or ``rounding``.
        step: The update.
        layer: The layer, or None for the loss and the start.
        difference: As a share of the largest value.
    """

    part: str
    step: int
    layer: str | None
    difference: float

    def __str__(self) -> str:
        at = f"at update {self.step}"
        share = f"{self.difference:.1e} of the largest value"
        return {
            "start": "The two sides did not start from the same weights.",
            "forward": f"It starts {at} in the forward pass of `{self.layer}` ({share}).",
            "loss": f"It starts {at} in the loss: every layer's output agrees.",
            "backward": f"It starts {at} in the backward pass, behind or in `{self.layer}` (gradient {share}).",
            "update": f"It starts {at} in the update rule: the gradients of `{self.layer}` agree, "
            f"what is added to its weights does not ({share}).",
            "rounding": f"No layer differs by more than rounding at once; at update {self.step} the gradient of "
            f"`{self.layer}` is furthest apart ({share}).",
        }[self.part]


def find_cause(found: Differences, dtype: str, first_past: int, order: Sequence[str]) -> Cause:
    """Why losses are too far apart.

    Forward differences reach every later layer, backward ones every earlier layer: so of the outputs
    the first one in the model's order counts, of the gradients the last one.

    Args:
        found: The measurements.
        dtype: ``float64`` or ``float32``.
        first_past: The first update whose losses are too far apart.
        order: Layers from input to output.
    """
    limits = THRESHOLDS[dtype]
    if not found.same_start:
        return Cause("start", 0, None, 0.0)
    for layer in order:
        if found.outputs.get(layer, 0.0) > limits["forward"]:
            return Cause("forward", 1, layer, found.outputs[layer])
    if found.outputs and first_past == 1 and found.loss[0] > limits["forward"]:
        return Cause("loss", 1, None, found.loss[0])
    trained = [layer for layer in order if layer in found.gradients]
    for step in range(first_past):
        for layer in reversed(trained):
            if found.gradients[layer][step] > limits["backward"]:
                return Cause("backward", step + 1, layer, found.gradients[layer][step])
        off = [(found.updates[layer][step], layer) for layer in trained]
        if off and max(off)[0] > limits["update"]:
            return Cause("update", step + 1, max(off)[1], max(off)[0])
    if not trained:
        raise DlrunError("nothing-to-compare", "neither side recorded gradients.")
    at = first_past - 1
    layer = max(trained, key=lambda name: found.gradients[name][at])
    return Cause("rounding", first_past, layer, found.gradients[layer][at])
