"""Densely connected networks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt

from dlrun.errors import DlrunError
from dlrun.graph.architecture import models
from dlrun.models.classifier import IMAGE, Classifier, Positive, require_input
from dlrun.models.convolution import around, conv_norm

_PUBLISHED = {
    121: (32, (6, 12, 24, 16)),
    161: (48, (6, 12, 36, 24)),
    169: (32, (6, 12, 32, 32)),
    201: (32, (6, 12, 48, 32)),
}


@models("densenet")
class DenseNet(Classifier):
    """Densely connected network (DenseNet-BC): each layer reads the outputs of all earlier ones of its block.

    A layer is batch normalisation, ReLU, a 1x1 convolution of ``bottleneck`` k maps, the same again with a 3x3
    convolution of k maps, appended to what it read; k is the growth. Between blocks, normalisation, ReLU, a 1x1
    convolution to ``compression`` of the maps and 2x2 average pooling. The mean over the last normalised maps gives
    the logits.

    Args:
        depth: 121, 161, 169 or 201 for ImageNet; for ``stem: cifar`` any 6 n + 4, three blocks of n layers.
        blocks: Layers of each block, instead of ``depth``.
        growth: k; 32 when left out, 48 for depth 161, 12 for CIFAR.
        stem: ``imagenet``: 7x7 convolution and pooling, which quarter the image; ``cifar``: one 3x3 convolution.
        bottleneck: Maps of a layer's 1x1 convolution, in units of k.
        compression: Share of the maps kept between blocks.
        dropout: Share of a layer's new maps zeroed in training.

    Shapes: (N, H, W, C) -> (N, classes).
    Weights: ``stem.*``, ``block<i>.layer<j>.conv<k>.kernel``, ``block<i>.layer<j>.norm<k>.*``, ``transition<i>.*``,
        ``norm.*``, ``logits.*``. ImageNet, 1000 classes: 7,978,856 (121), 28,681,000 (161), 14,149,480 (169),
        20,013,928 (201); CIFAR-10, depth 100, growth 12: 769,162.
    Errors: classes-missing, wrong-input, unknown-depth, window-too-large.
    Differs: Keras' epsilon is 1.001e-5.
    Source: Huang, Liu, van der Maaten & Weinberger 2016.
    """

    depth: Positive = 121
    blocks: tuple[Positive, ...] | None = None
    growth: Positive | None = None
    stem: Literal["imagenet", "cifar"] = "imagenet"
    bottleneck: Positive = 4
    compression: Annotated[float, Gt(0), Le(1)] = 0.5
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0

    def expand(self, sub: Any, x: str, classes: int | None) -> str:
        width = self.class_count(classes)
        require_input(self.kind, sub, x, IMAGE)
        growth, blocks = self._sizes()
        channels = 2 * growth
        with sub.scope("stem"):
            if self.stem == "cifar":  # the first layer's normalisation follows at once
                x = sub.add(
                    "conv2d",
                    x,
                    name="conv",
                    filters=channels,
                    kernel=3,
                    padding="same",
                    bias=False,
                    kernel_initializer="he_normal",
                )
            else:
                x = conv_norm(sub, x, channels, 7, stride=2, initializer="he_normal")
                x = sub.add("max_pool2d", x, name="pool", size=3, stride=2, padding=around(3))
        for i, count in enumerate(blocks, 1):
            for j in range(1, count + 1):
                with sub.scope(f"block{i}"), sub.scope(f"layer{j}"):
                    x = self._layer(sub, x, growth)
            channels += count * growth
            if i < len(blocks):
                channels = int(channels * self.compression)
                with sub.scope(f"transition{i}"):
                    x = _norm_conv(sub, x, channels, 1)
                    x = sub.add("avg_pool2d", x, name="pool", size=2)
        x = sub.activate(sub.add("batch_norm", x, name="norm"), "relu")
        x = sub.add("global_avg_pool2d", x, name="pool")
        logits: str = sub.add("dense", x, name="logits", units=width)
        return logits

    def _sizes(self) -> tuple[int, tuple[int, ...]]:
        """Growth, and the layers of each block."""
        if self.blocks is not None:
            return self.growth or (12 if self.stem == "cifar" else 32), self.blocks
        if self.stem == "imagenet" and self.depth in _PUBLISHED:
            growth, blocks = _PUBLISHED[self.depth]
            return self.growth or growth, blocks
        if self.stem == "cifar" and self.depth > 4 and (self.depth - 4) % 6 == 0:
            return self.growth or 12, ((self.depth - 4) // 6,) * 3
        raise DlrunError(
            "unknown-depth",
            f"`densenet` has no form of depth `{self.depth}` for {self.stem}.",
            path=("depth",),
            hint="ImageNet: 121, 161, 169 or 201. CIFAR: 6 n + 4, e.g. 100. Or give the `blocks`.",
        )

    def _layer(self, sub: Any, x: str, growth: int) -> str:
        new = _norm_conv(sub, x, self.bottleneck * growth, 1, "1")
        new = _norm_conv(sub, new, growth, 3, "2")
        if self.dropout:
            new = sub.add("dropout", new, name="dropout", rate=self.dropout)
        joined: str = sub.add("concat", x, new, name="concat")
        return joined


def _norm_conv(sub: Any, x: str, filters: int, kernel: int, suffix: str = "") -> str:
    """Batch normalisation, ReLU, then a convolution without bias."""
    x = sub.activate(sub.add("batch_norm", x, name=f"norm{suffix}"), "relu")
    made: str = sub.add(
        "conv2d",
        x,
        name=f"conv{suffix}",
        filters=filters,
        kernel=kernel,
        padding="same",
        bias=False,
        kernel_initializer="he_normal",
    )
    return made
