"""Ways to say pooling: TensorFlow's own kernels where they exist, slices elsewhere.

A mean or a maximum over a box is taken along one axis after another; of equal values the first one
in each axis has the gradient, so that over all axes it is the first in reading order.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from dlrun.backends.tensorflow.conv_forms import FORMATS, lifted, pad
from dlrun.layers.window import Window

_MAX = {2: tf.nn.max_pool2d, 3: tf.nn.max_pool3d}
_AVG = {2: tf.nn.avg_pool2d, 3: tf.nn.avg_pool3d}
Combine = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def larger(found: tf.Tensor, cells: tf.Tensor) -> tf.Tensor:
    """Only a larger value replaces an earlier one, so that the first of equals has the gradient."""
    return tf.where(cells > found, cells, found)


def largest(x: tf.Tensor, window: Window, sliced: bool) -> tf.Tensor:
    """The largest value of each window.

    Args:
        x: (N, *, C).
        window: Size, stride and padding.
        sliced: Whether to leave TensorFlow's own kernel alone.
    """
    rank = len(window.size)
    if rank == 1:
        return largest(x[:, None], lifted(window), sliced)[:, 0]
    spatial = tuple(x.shape[1:-1])
    if sliced or rank == 3:
        # the kernel for volumes has no float64, and shares the gradient among equal values
        # nor may padding be infinite: an exported `where` multiplies what it does not choose by zero
        x = pad(x, window.covered(spatial), x.dtype.min)
        return _along_axes(x, window, window.positions(spatial), larger)
    same = window.same(spatial) and not any(window.overhang(spatial))
    if not same:
        x = pad(x, window.covered(spatial), -math.inf)
    return _MAX[rank](
        x,
        ksize=window.size,
        strides=window.stride,
        padding="SAME" if same else "VALID",
        data_format=FORMATS[rank],
    )


def mean(x: tf.Tensor, window: Window, cells: np.ndarray, count_padding: bool) -> tf.Tensor:
    """The mean of each window.

    Args:
        x: (N, *, C).
        window: Size, stride and padding.
        cells: How many cells each window is divided by, (positions..., 1).
        count_padding: Whether padding is among them.
    """
    rank = len(window.size)
    if rank == 1:
        return mean(x[:, None], lifted(window), cells[None], count_padding)[:, 0]
    spatial, full = tuple(x.shape[1:-1]), math.prod(window.size)
    complete = bool((cells == full).all())
    own = rank == 3 and x.dtype == tf.float64  # for which TensorFlow has no kernel
    if not own and not count_padding and window.same(spatial) and not any(window.overhang(spatial)):
        return _means(x, window, "SAME")  # which divides by real cells
    x = pad(x, window.covered(spatial))
    if own:
        total = _along_axes(x, window, window.positions(spatial), tf.add)
        return total / tf.constant(cells, x.dtype)
    y = _means(x, window, "VALID")
    return y if complete else y * tf.constant(full / cells, x.dtype)


def _means(x: tf.Tensor, window: Window, padding: str) -> tf.Tensor:
    rank = len(window.size)
    return _AVG[rank](x, ksize=window.size, strides=window.stride, padding=padding, data_format=FORMATS[rank])


def _along_axes(x: tf.Tensor, window: Window, positions: tuple[int, ...], combine: Combine) -> tf.Tensor:
    """Windows of a padded input reduced along the last axis first."""
    for axis in reversed(range(len(window.size))):
        size, stride, count = window.size[axis], window.stride[axis], positions[axis]
        before = (slice(None),) * (axis + 1)
        parts = [x[(*before, slice(u, u + (count - 1) * stride + 1, stride))] for u in range(size)]
        x = functools.reduce(combine, parts)
    return x


def means_of_bins(x: tf.Tensor, bins: tuple[tuple[tuple[int, int], ...], ...]) -> tf.Tensor:
    """Means of uneven boxes: along each axis a product with the matrix of shares.

    Args:
        x: (N, *, C).
        bins: For each axis and each output cell, the first cell it reads and the one after its last.
    """
    for axis, ranges in enumerate(bins, 1):
        shares = np.zeros((len(ranges), x.shape[axis]))
        for row, (first, end) in zip(shares, ranges, strict=True):
            row[first:end] = 1 / (end - first)
        moved = tf.tensordot(tf.constant(shares, x.dtype), x, axes=((1,), (axis,)))
        x = tf.transpose(moved, (*range(1, axis + 1), 0, *range(axis + 1, x.shape.rank)))
    return x


def largest_of_bins(x: tf.Tensor, bins: tuple[tuple[tuple[int, int], ...], ...]) -> tf.Tensor:
    """Largest values of uneven boxes; short ones read their last cell again, which changes nothing.

    Args:
        x: (N, *, C).
        bins: For each axis and each output cell, the first cell it reads and the one after its last.
    """
    for axis in reversed(range(1, len(bins) + 1)):
        ranges = bins[axis - 1]
        longest = max(end - first for first, end in ranges)
        x = functools.reduce(
            larger,
            (tf.gather(x, [min(first + u, end - 1) for first, end in ranges], axis=axis) for u in range(longest)),
        )
    return x
