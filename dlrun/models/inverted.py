"""The inverted residual block that the mobile networks share, and the table of their stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dlrun.models.convolution import around, conv_norm
from dlrun.models.start import HE_FAN_OUT


@dataclass(frozen=True)
class Stage:
    """Blocks of one width.

    Args:
        expansion: Width inside a block, in units of its input's.
        filters: Width of the output.
        blocks: How many blocks.
        stride: Step of the first block.
        kernel: Window of the depthwise convolution.
    """

    expansion: int
    filters: int
    blocks: int
    stride: int
    kernel: int = 3


@dataclass(frozen=True)
class Inverted:
    """How the blocks of a network are made.

    Args:
        activation: Element-wise layer inside a block; its output has none.
        squeeze: Whether channels are weighted by squeeze and excitation.
        norm: Further fields of the normalisations.
        padding: Of the depthwise convolutions; half the window on every side when left out.
    """

    activation: str
    squeeze: bool
    norm: dict[str, Any]
    padding: str | None = None

    def add(self, sub: Any, x: str, channels: int, stage: Stage, stride: int, drop: float) -> str:
        """Add one block after ``x``, which has ``channels``.

        Args:
            sub: What the architecture expands through.
            x: Name of the input.
            channels: Its channels.
            stage: Sizes of the block.
            stride: Step of its depthwise convolution.
            drop: Share of samples in training for which the block is the identity.
        """
        source, inner = x, channels * stage.expansion
        if stage.expansion != 1:
            x = conv_norm(sub, x, inner, 1, suffix="_expand", activation=self.activation, norm=self.norm)
        x = sub.add(
            "depthwise_conv2d",
            x,
            name="conv_depth",
            kernel=stage.kernel,
            stride=stride,
            padding=self.padding or around(stage.kernel),
            bias=False,
            kernel_initializer=HE_FAN_OUT,
        )
        x = sub.activate(sub.add("batch_norm", x, name="norm_depth", **self.norm), self.activation)
        if self.squeeze:
            x = sub.add("squeeze_excite", x, name="squeeze", units=max(1, channels // 4), activation=self.activation)
        x = conv_norm(sub, x, stage.filters, 1, suffix="_project", activation=None, norm=self.norm)
        if stride > 1 or channels != stage.filters:
            return x
        if drop:
            x = sub.add("stochastic_depth", x, name="drop", rate=drop)
        total: str = sub.add("add", source, x, name="add")
        return total
