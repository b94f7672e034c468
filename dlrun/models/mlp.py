"""Multilayer perceptron."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Ge, Lt

from dlrun.graph.architecture import models
from dlrun.initializers import Initial
from dlrun.models.classifier import Classifier, Positive


@models("mlp")
class MLP(Classifier):
    """Fully connected layers over the flattened input.

    x <- f(W x + b) for each number of units, f the activation; then one linear layer gives the logits.

    Args:
        units: Width of each hidden layer, in order.
        activation: Element-wise layer after each hidden layer.
        batch_norm: Whether each hidden layer is normalised before its activation; its bias is left out then.
        dropout: Share of hidden elements zeroed in training.
        kernel_initializer: How the kernels start.

    Shapes: (N, *) -> (N, classes).
    Weights: ``hidden<i>.kernel``, ``hidden<i>.bias`` (or ``norm<i>.*``), ``logits.kernel``, ``logits.bias``; 266,610
        for 784 inputs and 10 classes.
    Errors: classes-missing, unknown-activation.
    Differs: nothing.
    Source: LeCun et al. 1998, section III.C.4 (LeNet-300-100, the default).
    """

    units: tuple[Positive, ...] = (300, 100)
    activation: str = "relu"
    batch_norm: bool = False
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    kernel_initializer: Initial = "glorot_uniform"

    def expand(self, sub: Any, x: str, classes: int | None) -> str:
        width = self.class_count(classes)
        if sub.type(x).rank != 1:
            x = sub.add("flatten", x, name="flatten")
        start = {"kernel_initializer": self.kernel_initializer}
        for i, units in enumerate(self.units, 1):
            x = sub.add("dense", x, name=f"hidden{i}", units=units, bias=not self.batch_norm, **start)
            if self.batch_norm:
                x = sub.add("batch_norm", x, name=f"norm{i}")
            x = sub.activate(x, self.activation)
            if self.dropout:
                x = sub.add("dropout", x, name=f"dropout{i}", rate=self.dropout)
        logits: str = sub.add("dense", x, name="logits", units=width, **start)
        return logits
