"""The two networks of a deep convolutional generative adversarial network, apart and together."""

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
            path=("name",) if kind.endswith("discriminator") else ("size",),
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
        require_input(self.kind, sub, x, ("numbers",))
        return _generate(sub, x, self.channels, self.filters, _halvings(self.kind, self.size))


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
        flat: str = sub.add("flatten", _shrink(sub, x, self.filters, self.slope, steps), name="flatten")
        return flat


@models("dcgan")
class DCGAN(Model):
    """Generator and discriminator of a DCGAN in one graph, to be trained against each other by `train.phases`.

    The generator makes an image of numbers that `normal_noise` draws for each sample. The discriminator scores the
    data's images, brought to the generator's size by `resize` where they differ, and, with the same weights, the
    generated ones. Outputs: the generated image (the answer), `score_real` and `score_generated`, logits both.

    Args:
        size: Side of the image in cells, a power of two, 8 or more.
        noise: How many numbers an image is made of.
        filters: Width of the generator's last maps but the image and of the discriminator's first.
        slope: Of the discriminator's leaky ReLU below zero.

    Shapes: (N, H, W, C) -> (N, size, size, C), between -1 and 1; (N, 1); (N, 1).
    Weights: those of `dcgan_generator` below ``generator.`` and of `dcgan_discriminator` below ``discriminator.``;
        6,342,272 for 64x64x3.
    Errors: wrong-input, wrong-size.
    Differs: each batch of images, real or generated, is normalised by its own statistics in training, and moves the
        discriminator's running ones, real before generated; the tutorial's discriminator sees them apart in the same
        way, but there a phase that trains the generator reuses the images of the one before.
    Source: Radford, Metz & Chintala 2015; sizes of PyTorch's DCGAN tutorial.
    """

    size: Annotated[int, Ge(8)] = 64
    noise: Positive = 100
    filters: Positive = 64
    slope: Annotated[float, Ge(0)] = 0.2

    @property
    def further_outputs(self) -> tuple[str, ...]:
        """The scores."""
        return ("score_real", "score_generated")

    def expand(self, sub: Any, x: str, classes: int | None) -> str:
        found = require_input(self.kind, sub, x, IMAGE)
        steps = _halvings(self.kind, self.size)
        real = x if found.shape[:2] == (self.size, self.size) else sub.add("resize", x, name="resized", size=self.size)
        # real images come first, so that both backends move the shared running statistics in one order
        with sub.scope("discriminator"):
            score = _shrink(sub, real, self.filters, self.slope, steps)
        sub.add("flatten", score, name="score_real")
        with sub.scope("generator"):
            noise = sub.add("normal_noise", x, name="noise", units=self.noise)
            image = _generate(sub, noise, found.shape[-1], self.filters, steps)
        with sub.scope("generated"):
            score = _shrink(sub, image, self.filters, self.slope, steps, share="discriminator.")
        sub.add("flatten", score, name="score_generated")
        return image


def _generate(sub: Any, x: str, channels: int, filters: int, steps: int) -> str:
    """The generator's layers; returns the name of the image."""
    x = sub.add("reshape", x, name="reshape", shape=(1, 1, sub.type(x).size))
    for i in range(steps + 1):
        fields = {"stride": 2, "padding": "same"} if i else {"stride": 1, "padding": "valid"}
        with sub.scope(f"grow{i + 1}"):
            x = sub.add(
                "conv2d_transpose",
                x,
                name="conv",
                filters=filters << (steps - i),
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
        filters=channels,
        kernel=_FIRST,
        stride=2,
        padding="same",
        bias=False,
        activation="tanh",
        kernel_initializer=NARROW,
    )
    return image


def _shrink(sub: Any, x: str, filters: int, slope: float, steps: int, share: str | None = None) -> str:
    """The discriminator's layers; returns the name of the logit's map.

    Args:
        sub: What the architecture expands through.
        x: Name of the image.
        filters: Width of the first maps.
        slope: Of the leaky ReLU.
        steps: How many maps follow the first.
        share: Prefix of the layers whose weights are used instead of own ones.
    """

    def owner(name: str) -> str | None:
        return None if share is None else share + name

    for i in range(steps + 1):
        part = f"shrink{i + 1}"
        with sub.scope(part):
            x = sub.add(
                "conv2d",
                x,
                name="conv",
                filters=filters << i,
                kernel=_FIRST,
                stride=2,
                padding="same",
                bias=False,
                kernel_initializer=NARROW,
                share=owner(f"{part}.conv"),
            )
            if i:
                x = sub.add("batch_norm", x, name="norm", share=owner(f"{part}.norm"))
            x = sub.add("leaky_relu", x, name="leaky", slope=slope)
    logit: str = sub.add(
        "conv2d",
        x,
        name="logit",
        filters=1,
        kernel=_FIRST,
        bias=False,
        kernel_initializer=NARROW,
        share=owner("logit"),
    )
    return logit
