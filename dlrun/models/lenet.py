"""LeNet-5."""

from __future__ import annotations

from typing import Any, Literal

from dlrun.graph.architecture import models
from dlrun.models.classifier import IMAGE, Classifier, Positive, require_input


@models("lenet")
class LeNet(Classifier):
    """LeNet-5: two convolutions with pooling, then three fully connected layers.

    Convolution, activation and 2x2 pooling twice; the maps are flattened; two hidden layers with the activation;
    logits.

    Args:
        filters: Maps of the first and second convolution.
        units: Width of the two hidden layers.
        kernel: Window of the convolutions, in cells.
        padding: Of the first convolution: ``same`` for 28x28 images, ``valid`` for 32x32, which gives both 5x5 maps in
            the end.
        activation: Element-wise layer.
        pool: ``avg`` as published, or ``max``.

    Shapes: (N, H, W, C) -> (N, classes).
    Weights: ``conv1.*``, ``conv2.*``, ``hidden1.*``, ``hidden2.*``, ``logits.*``; 61,706 for one channel and 10
        classes.
    Errors: classes-missing, wrong-input, window-too-large.
    Differs: the paper's second convolution reads only some of the maps, its pooling has weights and its output is a
        distance to a fixed code: 60,000 weights.
    Source: LeCun, Bottou, Bengio & Haffner 1998.
    """

    filters: tuple[Positive, Positive] = (6, 16)
    units: tuple[Positive, Positive] = (120, 84)
    kernel: Positive = 5
    padding: Literal["valid", "same"] = "same"
    activation: str = "tanh"
    pool: Literal["avg", "max"] = "avg"

    def expand(self, sub: Any, x: str, classes: int | None) -> str:
        width = self.class_count(classes)
        require_input(self.kind, sub, x, IMAGE)
        for i, (filters, padding) in enumerate(zip(self.filters, (self.padding, "valid"), strict=True), 1):
            x = sub.add("conv2d", x, name=f"conv{i}", filters=filters, kernel=self.kernel, padding=padding)
            x = sub.activate(x, self.activation)
            x = sub.add(f"{self.pool}_pool2d", x, name=f"pool{i}", size=2)
        x = sub.add("flatten", x, name="flatten")
        for i, units in enumerate(self.units, 1):
            x = sub.add("dense", x, name=f"hidden{i}", units=units)
            x = sub.activate(x, self.activation)
        logits: str = sub.add("dense", x, name="logits", units=width)
        return logits
