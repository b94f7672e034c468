"""Blocks of positions turned into channels and back; said with `reshape` and `permute`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Gt

from dlrun.errors import DlrunError
from dlrun.graph.layer import Composite, Example, layers, require_rank
from dlrun.graph.tensor import TensorType

Order = Literal["blocks", "channels"]
Block = Annotated[int, Gt(0)]
_AXES = "height, width, channels"


@layers("space_to_depth")
class SpaceToDepth(Composite):
    """Blocks of positions side by side in the channels.

    y[i, j, (u b + v) C + c] = x[i b + u, j b + v, c], with b the block (order `blocks`); channel
    (c b + u) b + v instead with order `channels`.

    Args:
        block: b, in cells; divides height and width.
        order: What varies slowest in the new channels.

    Shapes: (N, H, W, C) -> (N, H / b, W / b, b b C).
    Weights: none.
    Errors: wrong-rank, block-does-not-fit.
    Differs: TensorFlow's order is `blocks`, that of torch's pixel_unshuffle is `channels`.
    Source: Shi et al. 2016.
    """

    block: Block
    order: Order = "blocks"

    examples = (
        Example({"block": 2}, (TensorType((4, 6, 3)),)),
        Example({"block": 2, "order": "channels"}, (TensorType((4, 2, 3)),)),
        Example({"block": 2}, (TensorType((4, 5, 3)),), raises="block-does-not-fit"),
        Example({"block": 2}, (TensorType((4, 4)),), raises="wrong-rank"),
    )

    def expand(self, sub: Any, *inputs: str) -> str:
        x: TensorType = sub.type(inputs[0])
        require_rank(self.kind, x, 3, _AXES)
        (rows, columns, channels), b = x.shape, self.block
        for length, axis in ((rows, "height"), (columns, "width")):
            if length % b:
                _refuse("block-does-not-fit", f"a block of `{b}` does not divide the {axis} {length} of {x}.", "block")
        cut = sub.add("reshape", inputs[0], shape=(rows // b, b, columns // b, b, channels))
        axes = (0, 2, 1, 3, 4) if self.order == "blocks" else (0, 2, 4, 1, 3)
        turned = sub.add("permute", cut, axes=axes)
        result: str = sub.add("reshape", turned, shape=(rows // b, columns // b, b * b * channels))
        return result


@layers("depth_to_space")
class DepthToSpace(Composite):
    """Channels spread over blocks of positions; undoes `space_to_depth`.

    y[i b + u, j b + v, c] = x[i, j, (u b + v) C + c], with b the block (order `blocks`); channel
    (c b + u) b + v instead with order `channels`.

    Args:
        block: b, in cells; its square divides the channels.
        order: What varies slowest in the old channels.

    Shapes: (N, H, W, b b C) -> (N, H b, W b, C).
    Weights: none.
    Errors: wrong-rank, channels-not-divisible.
    Differs: TensorFlow's order is `blocks`, that of torch's pixel_shuffle is `channels`.
    Source: Shi et al. 2016.
    """

    block: Block
    order: Order = "blocks"

    examples = (
        Example({"block": 2}, (TensorType((2, 3, 8)),)),
        Example({"block": 2, "order": "channels"}, (TensorType((2, 3, 8)),)),
        Example({"block": 2}, (TensorType((2, 3, 6)),), raises="channels-not-divisible"),
        Example({"block": 2}, (TensorType((4, 4)),), raises="wrong-rank"),
    )

    def expand(self, sub: Any, *inputs: str) -> str:
        x: TensorType = sub.type(inputs[0])
        require_rank(self.kind, x, 3, _AXES)
        (rows, columns, channels), b = x.shape, self.block
        if channels % (b * b):
            _refuse(
                "channels-not-divisible", f"a block of `{b}` needs a multiple of {b * b} channels, got {x}.", "block"
            )
        parts = (b, b, channels // (b * b)) if self.order == "blocks" else (channels // (b * b), b, b)
        cut = sub.add("reshape", inputs[0], shape=(rows, columns, *parts))
        turned = sub.add("permute", cut, axes=(0, 2, 1, 3, 4) if self.order == "blocks" else (0, 3, 1, 4, 2))
        result: str = sub.add("reshape", turned, shape=(rows * b, columns * b, channels // (b * b)))
        return result


@layers("channel_shuffle")
class ChannelShuffle(Composite):
    """Channels of several groups dealt out in turn.

    y[…, k g + i] = x[…, i C / g + k], with g the groups, i a group and k a channel in it.

    Args:
        groups: g; divides the channels.

    Shapes: (N, *, C) -> (N, *, C).
    Weights: none.
    Errors: channels-not-divisible.
    Differs: TensorFlow lacks it.
    Source: Zhang et al. 2017.
    """

    groups: Annotated[int, Gt(0)]

    examples = (
        Example({"groups": 2}, (TensorType((2, 3, 6)),)),
        Example({"groups": 3}, (TensorType((6,)),)),
        Example({"groups": 4}, (TensorType((2, 3, 6)),), raises="channels-not-divisible"),
    )

    def expand(self, sub: Any, *inputs: str) -> str:
        x: TensorType = sub.type(inputs[0])
        *positions, channels = x.shape
        if channels % self.groups:
            _refuse("channels-not-divisible", f"`{self.groups}` groups do not divide the channels of {x}.", "groups")
        cut = sub.add("reshape", inputs[0], shape=(*positions, self.groups, channels // self.groups))
        last = len(positions)
        turned = sub.add("permute", cut, axes=(*range(last), last + 1, last))
        result: str = sub.add("reshape", turned, shape=x.shape)
        return result


def _refuse(code: str, message: str, field: str) -> None:
    raise DlrunError(code, message, path=(field,))
