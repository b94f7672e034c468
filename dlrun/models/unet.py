"""U-Net, for a class of every pixel."""

from __future__ import annotations

from typing import Any

from dlrun.graph.architecture import models
from dlrun.models.classifier import IMAGE, Classifier, Positive, require_input
from dlrun.models.convolution import conv_norm


@models("unet")
class UNet(Classifier):
    """U-Net: a contracting path, an expanding path, and links between maps of equal size.

    Each level applies two 3x3 convolutions with ReLU; going down, 2x2 maximum pooling halves the maps and the width
    doubles; going up, a 2x2 transposed convolution of stride 2 doubles the maps and halves the width, and the maps of
    the way down are put in front. A 1x1 convolution gives each pixel's logits. Labels are a class id for each pixel,
    (N, H, W), with `task: classification` or `image_classification`.

    Args:
        depth: Halvings.
        filters: Width of the first level.
        batch_norm: Whether each 3x3 convolution is batch-normalised; its bias is left out then.
        classes: Logits of each pixel; the data's number of classes when left out.

    Shapes: (N, H, W, C) -> (N, H, W, classes); H and W at least 2^depth. Where a map has an odd side, zeros are added
        at its end on the way up.
    Weights: ``down<i>.conv<j>.*``, ``bottom.conv<j>.*``, ``up<i>.conv.*``, ``up<i>.conv<j>.*``, ``logits.*`` and the
        normalisations beside them. 31,030,658 as published (one channel, two classes); 31,037,633 with batch
        normalisation for three channels and one class.
    Errors: classes-missing, wrong-input, window-too-large.
    Differs: the paper's convolutions are not padded, so that its output is smaller than its input.
    Source: Ronneberger, Fischer & Brox 2015.
    """

    depth: Positive = 4
    filters: Positive = 64
    batch_norm: bool = False

    def expand(self, sub: Any, x: str, classes: int | None) -> str:
        count = self.class_count(classes)
        require_input(self.kind, sub, x, IMAGE)
        links = []
        for i in range(self.depth):
            with sub.scope(f"down{i + 1}"):
                x = self._twice(sub, x, self.filters << i)
                links.append(x)
                x = sub.add("max_pool2d", x, name="pool", size=2)
        with sub.scope("bottom"):
            x = self._twice(sub, x, self.filters << self.depth)
        for i, link in reversed(list(enumerate(links))):
            with sub.scope(f"up{i + 1}"):
                x = sub.add(
                    "conv2d_transpose",
                    x,
                    name="conv",
                    filters=self.filters << i,
                    kernel=2,
                    stride=2,
                    kernel_initializer="he_normal",
                )
                x = self._fitted(sub, x, link)
                x = sub.add("concat", link, x, name="concat")
                x = self._twice(sub, x, self.filters << i)
        logits: str = sub.add("conv2d", x, name="logits", filters=count, kernel=1, kernel_initializer="he_normal")
        return logits

    def _twice(self, sub: Any, x: str, filters: int) -> str:
        for suffix in ("1", "2"):
            if self.batch_norm:
                x = conv_norm(sub, x, filters, 3, suffix=suffix, initializer="he_normal")
            else:
                x = sub.add(
                    "conv2d",
                    x,
                    name=f"conv{suffix}",
                    filters=filters,
                    kernel=3,
                    padding="same",
                    activation="relu",
                    kernel_initializer="he_normal",
                )
        return x

    def _fitted(self, sub: Any, x: str, link: str) -> str:
        """``x`` with zeros at its end where the link is one cell longer."""
        small, large = sub.type(x), sub.type(link)
        if small is None or large is None or small.shape[:2] == large.shape[:2]:
            return x
        lacking = tuple((0, b - a) for a, b in zip(small.shape[:2], large.shape[:2], strict=True))
        padded: str = sub.add("pad", x, name="fit", amount=lacking)
        return padded
