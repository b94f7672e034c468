"""EfficientNet."""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt

from dlrun.graph.architecture import models
from dlrun.models.classifier import IMAGE, Classifier, require_input
from dlrun.models.convolution import conv_norm, divisible
from dlrun.models.inverted import Inverted, Stage
from dlrun.models.start import start

_STAGES = (
    Stage(1, 16, 1, 1, 3),
    Stage(6, 24, 2, 2, 3),
    Stage(6, 40, 2, 2, 5),
    Stage(6, 80, 3, 2, 3),
    Stage(6, 112, 3, 1, 5),
    Stage(6, 192, 4, 2, 5),
    Stage(6, 320, 1, 1, 3),
)
_FACTORS = {
    "b0": (1.0, 1.0, 0.2),
    "b1": (1.0, 1.1, 0.2),
    "b2": (1.1, 1.2, 0.3),
    "b3": (1.2, 1.4, 0.3),
    "b4": (1.4, 1.8, 0.4),
    "b5": (1.6, 2.2, 0.4),
    "b6": (1.8, 2.6, 0.5),
    "b7": (2.0, 3.1, 0.5),
}
"""Factors of width and depth, and the dropout."""


@models("efficientnet")
class EfficientNet(Classifier):
    """EfficientNet: inverted residual blocks with squeeze and excitation, widened and deepened together.

    A block is MobileNetV2's with SiLU, 3x3 or 5x5 windows, and channels weighted by squeeze and excitation. In
    training the i-th of n blocks is left out with probability ``stochastic_depth`` i / n for each sample.

    Args:
        variant: ``b0`` to ``b7``: the factors of width and depth, and the dropout.
        width: Factor of every number of filters, which are rounded to multiples of 8; the variant's when left out.
        depth: Factor of every number of blocks, rounded up; the variant's when left out.
        dropout: Share of the last features zeroed in training; the variant's when left out.
        stochastic_depth: Probability with which the last block is left out, were it the n-th.

    Shapes: (N, H, W, C) -> (N, classes).
    Weights: ``stem.conv.kernel``, ``stage<i>.block<j>.conv_<part>.kernel``, ``stage<i>.block<j>.squeeze.*``,
        ``head.conv.kernel``, ``logits.*`` and the normalisations beside them. For three channels and 1000 classes:
        5,288,548 (b0), 7,794,184 (b1), 9,109,994 (b2), 12,233,232 (b3), 19,341,616 (b4), 30,389,784 (b5), 43,040,704
        (b6), 66,347,960 (b7).
    Errors: classes-missing, wrong-input.
    Differs: the published momentum is 0.01 and epsilon 1e-3; torchvision's b0 to b4, as here, have 0.1 and 1e-5.
        torchvision starts a depthwise kernel smaller, as it counts the filters of all channels in its fan out, and
        the squeeze kernels by their fan out, here Glorot uniform.
    Source: Tan & Le 2019; torchvision for the other initial values.
    """

    variant: Literal["b0", "b1", "b2", "b3", "b4", "b5", "b6", "b7"] = "b0"
    width: Annotated[float, Gt(0)] | None = None
    depth: Annotated[float, Gt(0)] | None = None
    dropout: Annotated[float, Ge(0), Lt(1)] | None = None
    stochastic_depth: Annotated[float, Ge(0), Lt(1)] = 0.2

    def expand(self, sub: Any, x: str, classes: int | None) -> str:
        count = self.class_count(classes)
        require_input(self.kind, sub, x, IMAGE)
        width, depth, dropout = (
            published if own is None else own
            for own, published in zip((self.width, self.depth, self.dropout), _FACTORS[self.variant], strict=True)
        )
        norm = {} if self.variant < "b5" else {"epsilon": 1e-3, "momentum": 0.01}
        stages = [
            dataclasses.replace(s, filters=divisible(s.filters * width), blocks=math.ceil(s.blocks * depth))
            for s in _STAGES
        ]
        channels = divisible(32 * width)
        with sub.scope("stem"):
            x = conv_norm(sub, x, channels, 3, stride=2, activation="silu", norm=norm)
        inverted = Inverted("silu", squeeze=True, norm=norm)
        share, done = self.stochastic_depth / sum(s.blocks for s in stages), 0
        for i, stage in enumerate(stages, 1):
            for j in range(stage.blocks):
                with sub.scope(f"stage{i}"), sub.scope(f"block{j + 1}"):
                    x = inverted.add(sub, x, channels, stage, 1 if j else stage.stride, drop=share * done)
                channels, done = stage.filters, done + 1
        with sub.scope("head"):
            x = conv_norm(sub, x, 4 * channels, 1, activation="silu", norm=norm)
        x = sub.add("global_avg_pool2d", x, name="pool")
        x = sub.add("dropout", x, name="dropout", rate=dropout)
        spread = 1 / math.sqrt(count)
        logits: str = sub.add(
            "dense", x, name="logits", units=count, kernel_initializer=start("uniform", low=-spread, high=spread)
        )
        return logits
