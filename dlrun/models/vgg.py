"""VGG: stacks of 3x3 convolutions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Lt

from dlrun.graph.architecture import models
from dlrun.models.classifier import IMAGE, Classifier, Positive, require_input
from dlrun.models.start import HE_FAN_OUT, SMALL

_CONVOLUTIONS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


@models("vgg")
class VGG(Classifier):
    """VGG: five stages of 3x3 convolutions, each ended by pooling, then three fully connected layers.

    A stage of n convolutions with ReLU is followed by 2x2 maximum pooling; its width is 1, 2, 4, 8 and 8 times the
    first one's. The maps are brought to ``pool`` cells a side and read by two hidden layers with dropout, then logits.

    Args:
        depth: Layers with weights: 11 (configuration A), 13 (B), 16 (D) or 19 (E).
        batch_norm: Whether each convolution is followed by batch normalisation.
        filters: Width of the first stage.
        units: Width of the two hidden layers.
        pool: Side of the maps that the hidden layers read; images of 224x224 have 7 anyway.
        dropout: Share of hidden elements zeroed in training.

    Shapes: (N, H, W, C) -> (N, classes).
    Weights: ``stage<i>.conv<j>.*``, ``stage<i>.norm<j>.*``, ``hidden<i>.*``, ``logits.*``. For 224x224x3 and 1000
        classes: 132,863,336 (11), 133,047,848 (13), 138,357,544 (16), 143,667,240 (19).
    Errors: classes-missing, wrong-input, window-too-large.
    Differs: the paper starts from normal draws of deviation 0.01 and shallower networks; He's draws need neither. With
        batch normalisation the convolutions keep their bias, as in torchvision.
    Source: Simonyan & Zisserman 2014; torchvision for the adaptive pooling and the initial values.
    """

    depth: Literal[11, 13, 16, 19] = 16
    batch_norm: bool = False
    filters: Positive = 64
    units: Positive = 4096
    pool: Positive = 7
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.5

    def expand(self, sub: Any, x: str, classes: int | None) -> str:
        width = self.class_count(classes)
        require_input(self.kind, sub, x, IMAGE)
        for i, (count, times) in enumerate(zip(_CONVOLUTIONS[self.depth], (1, 2, 4, 8, 8), strict=True), 1):
            with sub.scope(f"stage{i}"):
                for j in range(1, count + 1):
                    x = sub.add(
                        "conv2d",
                        x,
                        name=f"conv{j}",
                        filters=times * self.filters,
                        kernel=3,
                        padding="same",
                        kernel_initializer=HE_FAN_OUT,
                    )
                    if self.batch_norm:
                        x = sub.add("batch_norm", x, name=f"norm{j}")
                    x = sub.activate(x, "relu")
                x = sub.add("max_pool2d", x, name="pool", size=2)
        found = sub.type(x)
        if found is not None and found.shape[:2] != (self.pool, self.pool):
            x = sub.add("adaptive_avg_pool2d", x, name="pool", size=self.pool)
        x = sub.add("flatten", x, name="flatten")
        for i in (1, 2):
            x = sub.add("dense", x, name=f"hidden{i}", units=self.units, kernel_initializer=SMALL)
            x = sub.add("dropout", sub.activate(x, "relu"), name=f"dropout{i}", rate=self.dropout)
        logits: str = sub.add("dense", x, name="logits", units=width, kernel_initializer=SMALL)
        return logits
