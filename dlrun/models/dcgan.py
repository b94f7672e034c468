"""The two networks of a deep convolutional generative adversarial network."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Ge

from dlrun.errors import DlrunError
from dlrun.graph.architecture import Model, models
from dlrun.models.classifier import IMAGE, Positive, require_input
from dlrun.models.start import NARROW

_FIRST = 4
"""Side of the smallest maps."""


def _halvings(kind: str, size: int) -> int:
    """How often ``size`` is halved to reach the smallest maps but one.

    Raises:
        DlrunError: ``wrong-size`` unless it is a power of two, 8 or more.
    """
    if size < 2 * _FIRST or size & (size - 1):
        raise DlrunError(
            "wrong-size",
            f"`{kind}` makes its images from 4x4 cells by doubling, so a side of `{size}` is not possible.",
            path=("size",) if kind.endswith("generator") else ("name",),
            hint="Use 8, 16, 32, 64 or 128; `resize` or `pad` other images first.",
        )
    return (size // _FIRST).bit_length() - 2


@models("dcgan_generator")
class DCGANGenerator(Model):
    """The generator of a DCGAN: an image grown from a random vector.

    A 4x4 transposed convolution of the vector gives 4x4 maps; transposed convolutions of stride 2 double them while the
    width halves, each batch-normalised and rectified; the last one gives the channels, through the hyperbolic tangent.

    Args:
        size: Side of the image in cells, a power of two.
        channels: Of the image.
        filters: Width of the last maps but the image; the first have 8 times as many at size 64.

    Shapes: (N, Z) -> (N, size, size, channels), between -1 and 1.
    Weights: ``grow<i>.conv.kernel``, ``grow<i>.norm.*``, ``image.kernel``; 3,576,704 for 100 numbers.
    Errors: wrong-input, wrong-size.
    Differs: the paper's width is twice as large; its scales of the normalisations start around 1, not at it.
    Source: Radford, Metz & Chintala 2015; sizes of PyTorch's DCGAN tutorial.
    """

    size: Annotated[int, Ge(8)] = 64
    channels: Positive = 3
    filters: Positive = 64

    def expand(self, sub: Any, x: str, classes: int | None) -> str:
        found = require_input(self.kind, sub, x, ("numbers",))
        steps = _halvings(self.kind, self.size)
        x = sub.add("reshape", x, name="reshape", shape=(1, 1, found.size))
        for i in range(steps + 1):
            fields = {"stride": 2, "padding": "same"} if i else {"stride": 1, "padding": "valid"}
            with sub.scope(f"grow{i + 1}"):
                x = sub.add(
                    "conv2d_transpose",
                    x,
                    name="conv",
                    filters=self.filters << (steps - i),
                    kernel=_FIRST,
                    bias=False,
                    kernel_initializer=NARROW,
                    **fields,
                )
                x = sub.activate(sub.add("batch_norm", x, name="norm"), "relu")
        image: str = sub.add(
            "conv2d_transpose",
            x,
            name="image",
            filters=self.channels,
            kernel=_FIRST,
            stride=2,
            padding="same",
            bias=False,
            activation="tanh",
            kernel_initializer=NARROW,
        )
        return image


@models("dcgan_discriminator")
class DCGANDiscriminator(Model):
    """The discriminator of a DCGAN: one logit that tells real images from made ones.

    4x4 convolutions of stride 2 halve the image down to 4x4 cells while the width doubles, each but the first
    batch-normalised, with leaky ReLU; a last 4x4 convolution gives the logit.

    Args:
        filters: Width of the first maps.
        slope: Of the leaky ReLU below zero.

    Shapes: (N, H, W, C) -> (N, 1), with H = W a power of two, 8 or more.
    Weights: ``shrink<i>.conv.kernel``, ``shrink<i>.norm.*``, ``logit.kernel``; 2,765,568 for 64x64x3.
    Errors: wrong-input, wrong-size.
    Differs: the tutorial starts the scales of the normalisations around 1, not at it.
    Source: Radford, Metz & Chintala 2015; sizes of PyTorch's DCGAN tutorial.
    """

    filters: Positive = 64
    slope: Annotated[float, Ge(0)] = 0.2

    def expand(self, sub: Any, x: str, classes: int | None) -> str:
        height, width, _ = require_input(self.kind, sub, x, IMAGE).shape
        steps = _halvings(self.kind, height if height == width else 0)
        for i in range(steps + 1):
            with sub.scope(f"shrink{i + 1}"):
                x = sub.add(
                    "conv2d",
                    x,
                    name="conv",
                    filters=self.filters << i,
                    kernel=_FIRST,
                    stride=2,
                    padding="same",
                    bias=False,
                    kernel_initializer=NARROW,
                )
                if i:
                    x = sub.add("batch_norm", x, name="norm")
                x = sub.add("leaky_relu", x, name="leaky", slope=self.slope)
        x = sub.add("conv2d", x, name="logit", filters=1, kernel=_FIRST, bias=False, kernel_initializer=NARROW)
        flat: str = sub.add("flatten", x, name="flatten")
        return flat
