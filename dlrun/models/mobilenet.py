"""MobileNetV2."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt

from dlrun.graph.architecture import models
from dlrun.models.classifier import IMAGE, Classifier, require_input
from dlrun.models.convolution import conv_norm, divisible
from dlrun.models.inverted import Inverted, Stage
from dlrun.models.start import SMALL

_STAGES = (
    Stage(1, 16, 1, 1),
    Stage(6, 24, 2, 2),
    Stage(6, 32, 3, 2),
    Stage(6, 64, 4, 2),
    Stage(6, 96, 3, 1),
    Stage(6, 160, 3, 2),
    Stage(6, 320, 1, 1),
)
_LAST = 1280


@models("mobilenet")
class MobileNet(Classifier):
    """MobileNetV2: inverted residual blocks with linear ends.

    A block widens its input sixfold by a 1x1 convolution, filters each channel by a 3x3 depthwise convolution, both
    with ReLU6, and narrows it again by a 1x1 convolution without activation; equal shapes are added. All convolutions
    are batch-normalised. A 1x1 convolution, the mean over the maps, dropout and the logits follow.

    Args:
        width: Factor of every number of filters, which are rounded to multiples of 8; the last is not made smaller.
        dropout: Share of the last features zeroed in training.
        padding: ``around``: half the window on every side, or ``same``: as TensorFlow and Keras pad steps of two.
        epsilon: That of the normalisations.
        momentum: That of the normalisations.

    Shapes: (N, H, W, C) -> (N, classes).
    Weights: ``stem.conv.kernel``, ``stage<i>.block<j>.conv_<part>.kernel``, ``head.conv.kernel``, ``logits.*`` and the
        normalisations beside them; 3,504,872 for three channels and 1000 classes.
    Errors: classes-missing, wrong-input.
    Differs: Keras' is ``padding: same``, ``epsilon: 1e-3``, ``momentum: 1e-3``. torchvision starts a depthwise kernel
        smaller, as it counts the filters of all channels in its fan out.
    Source: Sandler, Howard, Zhu, Zhmoginov & Chen 2018; torchvision for the other initial values.
    """

    width: Annotated[float, Gt(0)] = 1.0
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.2
    padding: Literal["around", "same"] = "around"
    epsilon: Annotated[float, Gt(0)] = 1e-5
    momentum: Annotated[float, Gt(0)] = 0.1

    def expand(self, sub: Any, x: str, classes: int | None) -> str:
        count = self.class_count(classes)
        require_input(self.kind, sub, x, IMAGE)
        norm = {"epsilon": self.epsilon, "momentum": self.momentum}
        padding = None if self.padding == "around" else self.padding
        channels = divisible(32 * self.width)
        with sub.scope("stem"):
            x = conv_norm(sub, x, channels, 3, stride=2, padding=padding, activation="relu6", norm=norm)
        inverted = Inverted("relu6", squeeze=False, norm=norm, padding=padding)
        for i, stage in enumerate(_STAGES, 1):
            sized = dataclasses.replace(stage, filters=divisible(stage.filters * self.width))
            for j in range(stage.blocks):
                with sub.scope(f"stage{i}"), sub.scope(f"block{j + 1}"):
                    x = inverted.add(sub, x, channels, sized, 1 if j else stage.stride, drop=0.0)
                channels = sized.filters
        with sub.scope("head"):
            x = conv_norm(sub, x, divisible(_LAST * max(1.0, self.width)), 1, activation="relu6", norm=norm)
        x = sub.add("global_avg_pool2d", x, name="pool")
        x = sub.add("dropout", x, name="dropout", rate=self.dropout)
        logits: str = sub.add("dense", x, name="logits", units=count, kernel_initializer=SMALL)
        return logits
