"""ConvNeXt."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt

from dlrun.errors import DlrunError
from dlrun.graph.architecture import models
from dlrun.models.classifier import IMAGE, Classifier, Positive, require_input
from dlrun.models.convolution import around
from dlrun.models.start import TRUNCATED

_VARIANTS = {
    "tiny": ((3, 3, 9, 3), (96, 192, 384, 768), 0.1),
    "small": ((3, 3, 27, 3), (96, 192, 384, 768), 0.4),
    "base": ((3, 3, 27, 3), (128, 256, 512, 1024), 0.5),
    "large": ((3, 3, 27, 3), (192, 384, 768, 1536), 0.5),
}
"""Blocks and filters of each stage, and the stochastic depth."""
_EPSILON = 1e-6


@models("convnext")
class ConvNeXt(Classifier):
    """ConvNeXt: convolutional blocks shaped after the vision transformer.

    y = x + s W2 gelu(W1 norm(d(x))), with d a 7x7 depthwise convolution, norm layer normalisation, W1 and W2 1x1
    convolutions to four times the width and back, s a factor learnt for each channel. The stem cuts the image into 4x4
    patches; stages are joined by normalisation and 2x2 convolutions of stride 2. The i-th of n blocks is left out of
    training for a sample with probability ``stochastic_depth`` (i - 1) / (n - 1).

    Args:
        variant: ``tiny``, ``small``, ``base`` or ``large``: blocks, filters and stochastic depth.
        blocks: Blocks of each stage; the variant's when left out.
        filters: Width of each stage; the variant's when left out.
        stochastic_depth: Probability with which the last block is left out; the variant's when left out.
        layer_scale: Value at which s starts.

    Shapes: (N, H, W, C) -> (N, classes); H and W at least 32 for four stages.
    Weights: ``stem.*``, ``stage<i>.block<j>.*``, ``down<i>.*``, ``norm.*``, ``logits.*``. For three channels and 1000
        classes: 28,589,128 (tiny), 50,223,688 (small), 88,591,464 (base), 197,767,336 (large).
    Errors: classes-missing, wrong-input, wrong-sizes, window-too-large.
    Differs: torchvision cuts the initial normal draws at 2, not at two deviations.
    Source: Liu, Mao, Wu, Feichtenhofer, Darrell & Xie 2022; stochastic depth as in torchvision.
    """

    variant: Literal["tiny", "small", "base", "large"] = "tiny"
    blocks: tuple[Positive, ...] | None = None
    filters: tuple[Positive, ...] | None = None
    stochastic_depth: Annotated[float, Ge(0), Lt(1)] | None = None
    layer_scale: Annotated[float, Gt(0)] = 1e-6

    def expand(self, sub: Any, x: str, classes: int | None) -> str:
        count = self.class_count(classes)
        require_input(self.kind, sub, x, IMAGE)
        blocks, filters, drop = self._sizes()
        with sub.scope("stem"):
            x = sub.add("conv2d", x, name="conv", filters=filters[0], kernel=4, stride=4, kernel_initializer=TRUNCATED)
            x = sub.add("layer_norm", x, name="norm", epsilon=_EPSILON)
        step, done = drop / max(sum(blocks) - 1, 1), 0
        for i, (times, width) in enumerate(zip(blocks, filters, strict=True), 1):
            if i > 1:
                with sub.scope(f"down{i - 1}"):
                    x = sub.add("layer_norm", x, name="norm", epsilon=_EPSILON)
                    x = sub.add(
                        "conv2d", x, name="conv", filters=width, kernel=2, stride=2, kernel_initializer=TRUNCATED
                    )
            for j in range(1, times + 1):
                with sub.scope(f"stage{i}"), sub.scope(f"block{j}"):
                    x = self._block(sub, x, width, step * done)
                done += 1
        x = sub.add("global_avg_pool2d", x, name="pool")
        x = sub.add("layer_norm", x, name="norm", epsilon=_EPSILON)
        logits: str = sub.add("dense", x, name="logits", units=count, kernel_initializer=TRUNCATED)
        return logits

    def _sizes(self) -> tuple[tuple[int, ...], tuple[int, ...], float]:
        published = _VARIANTS[self.variant]
        blocks, filters = self.blocks or published[0], self.filters or published[1]
        if len(blocks) != len(filters):
            raise DlrunError(
                "wrong-sizes",
                f"`convnext` needs `blocks` and `filters` of equal length, got {len(blocks)} and {len(filters)}.",
                path=("blocks",),
                hint="Both list one number for each stage.",
            )
        return blocks, filters, published[2] if self.stochastic_depth is None else self.stochastic_depth

    def _block(self, sub: Any, x: str, width: int, drop: float) -> str:
        branch = sub.add("depthwise_conv2d", x, name="depth", kernel=7, padding=around(7), kernel_initializer=TRUNCATED)
        branch = sub.add("layer_norm", branch, name="norm", epsilon=_EPSILON)
        branch = sub.add("conv2d", branch, name="widen", filters=4 * width, kernel=1, kernel_initializer=TRUNCATED)
        branch = sub.activate(branch, "gelu")
        branch = sub.add("conv2d", branch, name="narrow", filters=width, kernel=1, kernel_initializer=TRUNCATED)
        branch = sub.add("scale", branch, name="scale", initial=self.layer_scale)
        if drop:
            branch = sub.add("stochastic_depth", branch, name="drop", rate=drop)
        total: str = sub.add("add", x, branch, name="add")
        return total
