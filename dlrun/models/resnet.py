"""Residual networks, for ImageNet and for CIFAR."""

from __future__ import annotations

from typing import Any, Literal

from dlrun.errors import DlrunError
from dlrun.graph.architecture import models
from dlrun.models.classifier import IMAGE, Classifier, Positive, require_input
from dlrun.models.convolution import around, conv_norm
from dlrun.models.start import SMALL

_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
_BOTTLENECK_FROM = 50
_EXPANSION = 4


@models("resnet")
class ResNet(Classifier):
    """Residual network: stages of blocks whose output is added to their input.

    y = relu(f(x) + g(x)), with f two 3x3 convolutions (or 1x1, 3x3, 1x1 around a quarter of the width from depth 50
    on), each batch-normalised, and g the identity, or the shortcut where the shape changes. Each stage but the first
    halves the image and doubles the width; the mean over the last maps gives the logits.

    Args:
        depth: Layers with weights. 18, 34, 50, 101 and 152 are the ImageNet networks with four stages; 6 n + 2 (20,
            32, 44, 56, 110) the CIFAR networks with three stages of n blocks.
        form: ``imagenet`` or ``cifar``; told by the depth when left out.
        stem: ``imagenet``: 7x7 convolution and pooling, which quarter the image; ``cifar``: one 3x3 convolution at
            full size, for small images. That of the form when left out.
        shortcut: g where the shape changes: ``projection`` (a 1x1 convolution, the paper's option B) or ``zeros``
            (every second cell, the new channels zero, option A). When left out, ``projection`` for ImageNet, ``zeros``
            for CIFAR.
        stride_in: Convolution of a bottleneck that takes the step of two: ``first`` as published, ``middle`` as usual
            since.
        filters: Width of the first stage; 64 for ImageNet and 16 for CIFAR when left out.

    Shapes: (N, H, W, C) -> (N, classes).
    Weights: ``stem.conv.kernel``, ``stem.norm.*``, ``stage<i>.block<j>.conv<k>.kernel``,
        ``stage<i>.block<j>.norm<k>.*``, ``stage<i>.block<j>.shortcut.*``, ``logits.*``. ImageNet, 1000 classes:
        11,689,512 (18), 21,797,672 (34), 25,557,032 (50), 44,549,160 (101), 60,192,808 (152). CIFAR-10: 269,722 (20),
        853,018 (56), 1,727,962 (110).
    Errors: classes-missing, wrong-input, unknown-depth, window-too-large.
    Differs: Keras' ResNet50 has biases in its convolutions and epsilon 1.001e-5.
    Source: He, Zhang, Ren & Sun 2015; torchvision for ``stride_in: middle``; Goyal et al. 2017 for how the logits
        start.
    """

    depth: Positive = 50
    form: Literal["imagenet", "cifar"] | None = None
    stem: Literal["imagenet", "cifar"] | None = None
    shortcut: Literal["projection", "zeros"] | None = None
    stride_in: Literal["first", "middle"] = "middle"
    filters: Positive | None = None

    def expand(self, sub: Any, x: str, classes: int | None) -> str:
        width = self.class_count(classes)
        require_input(self.kind, sub, x, IMAGE)
        cifar, counts = self._stages()
        filters = self.filters or (16 if cifar else 64)
        with sub.scope("stem"):
            if (self.stem or ("cifar" if cifar else "imagenet")) == "cifar":
                x = conv_norm(sub, x, filters, 3)
            else:
                x = conv_norm(sub, x, filters, 7, stride=2)
                x = sub.add("max_pool2d", x, name="pool", size=3, stride=2, padding=around(3))
        bottleneck = not cifar and self.depth >= _BOTTLENECK_FROM
        shortcut = self.shortcut or ("zeros" if cifar else "projection")
        channels = filters
        for i, count in enumerate(counts):
            for j in range(count):
                with sub.scope(f"stage{i + 1}"), sub.scope(f"block{j + 1}"):
                    block = _Block(sub, filters * 2**i, 2 if i and not j else 1, self.stride_in == "first")
                    x, channels = block.add(x, channels, bottleneck, shortcut)
        x = sub.add("global_avg_pool2d", x, name="pool")
        logits: str = sub.add("dense", x, name="logits", units=width, kernel_initializer=SMALL)
        return logits

    def _stages(self) -> tuple[bool, tuple[int, ...]]:
        """Whether it is the CIFAR form, and the number of blocks of each stage."""
        cifar = self.form == "cifar" or (self.form is None and self.depth not in _BLOCKS)
        if not cifar and self.depth in _BLOCKS:
            return False, _BLOCKS[self.depth]
        if cifar and self.depth > 2 and (self.depth - 2) % 6 == 0:
            return True, ((self.depth - 2) // 6,) * 3
        raise DlrunError(
            "unknown-depth",
            f"`resnet` has no form of depth `{self.depth}`"
            + (f" for {self.form}." if self.form else ": it is no ImageNet depth and not 6 n + 2."),
            path=("depth",),
            hint="ImageNet: 18, 34, 50, 101 or 152. CIFAR: 20, 32, 44, 56 or 110.",
        )


class _Block:
    """One residual block.

    Args:
        sub: What the architecture expands through.
        filters: Width of its 3x3 convolutions.
        stride: 2 where the image is halved, else 1.
        early: Whether a bottleneck's first convolution takes that step.
    """

    def __init__(self, sub: Any, filters: int, stride: int, early: bool) -> None:
        self.sub, self.filters, self.stride, self.early = sub, filters, stride, early

    def add(self, x: str, channels: int, bottleneck: bool, shortcut: str) -> tuple[str, int]:
        """Add the block after ``x``, which has ``channels``; the name and channels of its output."""
        made = self.filters * (_EXPANSION if bottleneck else 1)
        branch = self._bottleneck(x, made) if bottleneck else self._basic(x)
        short = x
        if self.stride > 1 or made != channels:
            short = self._projection(x, made) if shortcut == "projection" else self._zeros(x, channels, made)
        total = self.sub.add("add", branch, short, name="add")
        return self.sub.activate(total, "relu"), made

    def _basic(self, x: str) -> str:
        x = conv_norm(self.sub, x, self.filters, 3, suffix="1", stride=self.stride)
        return conv_norm(self.sub, x, self.filters, 3, suffix="2", activation=None)

    def _bottleneck(self, x: str, made: int) -> str:
        first, middle = (self.stride, 1) if self.early else (1, self.stride)
        x = conv_norm(self.sub, x, self.filters, 1, suffix="1", stride=first)
        x = conv_norm(self.sub, x, self.filters, 3, suffix="2", stride=middle)
        return conv_norm(self.sub, x, made, 1, suffix="3", activation=None)

    def _projection(self, x: str, made: int) -> str:
        with self.sub.scope("shortcut"):
            return conv_norm(self.sub, x, made, 1, stride=self.stride, activation=None)

    def _zeros(self, x: str, channels: int, made: int) -> str:
        with self.sub.scope("shortcut"):
            if self.stride > 1:
                for axis, name in enumerate(("rows", "columns")):
                    x = self.sub.add("slice", x, name=name, axis=axis, step=self.stride)
            padded: str = self.sub.add("pad", x, name="widen", amount=((0, 0), (0, 0), (0, made - channels)))
            return padded
