"""How one array stands in another library's file, and the way to canonical layout and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Turn = Literal["same", "linear", "kernel", "pointwise", "depthwise", "whole"]
"""``linear``: (out, in); ``kernel``: (out, in, k...), also (in, out, k...) of a transposed convolution;
``pointwise``: (out, in, 1, 1) of what is a dense layer here; ``depthwise``: (C m, 1, k...);
``whole``: the same numbers under other axes of length 1."""


@dataclass(frozen=True)
class Fold:
    """A second array of the peer's whose values join those of a weight, because this model has no place for it.

    Args:
        name: Its name.
        factor: What it is multiplied by.
        rows: How many rows it has, of which the first counts; None where it counts whole.
    """

    name: str
    factor: float = 1.0
    rows: int | None = None


@dataclass(frozen=True)
class Peer:
    """Where another library keeps a weight.

    Args:
        name: Its name there.
        turn: How its axes are ordered there.
        part: (index, count) where it is one of several that lie one after another along the first axis.
        axes: For ``whole``: its axes there, None for those of the weight (``(1, None)`` puts one in front).
        fold: What joins its values, or None.
        rows: For each place on our first axis, its place there; None where they are alike.
        columns: The same of the last axis.
    """

    name: str
    turn: Turn = "same"
    part: tuple[int, int] | None = None
    axes: tuple[int | None, ...] = (None,)
    fold: Fold | None = None
    rows: np.ndarray | None = field(default=None, compare=False)
    columns: np.ndarray | None = field(default=None, compare=False)


def to_canonical(array: np.ndarray, peer: Peer, shape: tuple[int, ...]) -> np.ndarray | None:
    """An array of the peer's file in canonical layout, or None where it cannot have that shape.

    Args:
        array: As the peer keeps it.
        peer: Where it stands.
        shape: Canonical shape wanted.
    """
    if peer.part is not None:
        index, count = peer.part
        if array.ndim == 0 or array.shape[0] % count:
            return None
        size = array.shape[0] // count
        array = array[index * size : (index + 1) * size]
    if not canonical_shape(array.shape, peer.turn, shape):
        return None
    turned = _TURNED[peer.turn](array).reshape(shape)
    if peer.rows is not None:
        turned = turned[peer.rows]
    if peer.columns is not None:
        turned = turned[..., peer.columns]
    return np.ascontiguousarray(turned)


def canonical_shape(theirs: tuple[int, ...], turn: Turn, shape: tuple[int, ...]) -> bool:
    """Whether an array of shape ``theirs`` is one of the canonical ``shape``, axes turned."""
    if turn == "same":
        return theirs == shape
    if turn == "whole":
        return _long(theirs) == _long(shape)
    if len(theirs) < 2 or len(shape) < 2:
        return False
    if turn == "depthwise":
        return theirs == (shape[-2] * shape[-1], 1, *shape[:-2])
    return (theirs[0], theirs[1]) == (shape[-1], shape[-2]) and _long(theirs[2:]) == _long(shape[:-2])


def _long(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)


def _channels_last(array: np.ndarray) -> np.ndarray:
    return array.transpose(*range(2, array.ndim), 1, 0)


_TURNED: dict[Turn, Callable[[np.ndarray], np.ndarray]] = {
    "same": lambda a: a,
    "whole": lambda a: a,
    "linear": _channels_last,
    "kernel": _channels_last,
    "pointwise": _channels_last,
    "depthwise": _channels_last,
}


def to_peer(arrays: Sequence[np.ndarray], peer: Peer) -> np.ndarray:
    """Canonical weights in the layout of a peer's array.

    Args:
        arrays: The weight; or all parts of the peer's array, in their order.
        peer: Where the first of them stands.
    """
    turned = [_turned_back(array, peer) for array in arrays]
    return np.ascontiguousarray(turned[0] if peer.part is None else np.concatenate(turned))


def _turned_back(array: np.ndarray, peer: Peer) -> np.ndarray:
    if peer.rows is not None:
        array = array[np.argsort(peer.rows)]
    if peer.columns is not None:
        array = array[..., np.argsort(peer.columns)]
    if peer.turn == "whole":
        shape: list[int] = []
        for axis in peer.axes:
            shape += array.shape if axis is None else (axis,)
        return array.reshape(shape)
    if peer.turn == "same":
        return array
    if peer.turn == "linear":
        return array.reshape(array.shape[-2:]).T
    if peer.turn == "pointwise":
        array = array.reshape(1, 1, *array.shape)
    if peer.turn == "depthwise":
        array = array.reshape(*array.shape[:-2], 1, array.shape[-2] * array.shape[-1])
    return array.transpose(array.ndim - 1, array.ndim - 2, *range(array.ndim - 2))
