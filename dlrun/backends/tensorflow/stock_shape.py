"""Rearranging, padding, resizing and merging said with Keras' own layers and operations."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from dlrun.backends.tensorflow.stock import DTYPE, stock
from dlrun.graph import Layer, Node
from dlrun.layers import merge, pad, product, resize, shape


@stock(shape.Flatten, shape.Reshape)
def _reshape(layer: shape.Flatten | shape.Reshape, node: Node, name: str) -> Any:
    return keras.layers.Reshape(node.output.shape, dtype=DTYPE, name=name)


@stock(shape.Permute)
def _permute(layer: shape.Permute, node: Node, name: str) -> Any:
    order = layer.order(node.input_types[0])
    return keras.layers.Permute(tuple(axis + 1 for axis in order), dtype=DTYPE, name=name)


@stock(shape.Slice)
def _slice(layer: shape.Slice, node: Node, name: str) -> Any:
    axis, start, stop = layer.span(node.input_types[0])
    return lambda x: x[(slice(None),) * (axis + 1) + (slice(start, stop, layer.step),)]


@stock(pad.Pad)
def _pad(layer: pad.Pad, node: Node, name: str) -> Any:
    (x,) = node.input_types
    added = pad.around(layer.kind, x, layer.amount)
    if layer.mode == "edge":
        return lambda values: _edges(values, x.shape, added)
    constant = {"constant_values": layer.value} if layer.mode == "constant" else {}
    return lambda values: ops.pad(values, ((0, 0), *added), mode=layer.mode, **constant)


def _edges(x: Any, lengths: tuple[int, ...], added: tuple[tuple[int, int], ...]) -> Any:
    for axis, (length, (before, after)) in enumerate(zip(lengths, added, strict=True), 1):
        if before or after:
            cells = np.clip(np.arange(-before, length + after), 0, length - 1)
            x = ops.take(x, cells.tolist(), axis=axis)
    return x


@stock(resize.Resize)
def _resize(layer: resize.Resize, node: Node, name: str) -> Any:
    old, new = node.input_types[0].shape[:-1], node.output.shape[:-1]

    def resized(x: Any) -> Any:
        for axis, (n, m) in enumerate(zip(old, new, strict=True), 1):
            if n == m:
                continue
            if layer.method == "nearest":
                x = ops.take(x, resize.nearest_cells(n, m).tolist(), axis=axis)
                continue
            low, high, w = resize.taps(n, m, layer.align_corners)
            share = w.astype(DTYPE).reshape(-1, *(1,) * (len(old) + 1 - axis))
            x = ops.take(x, low.tolist(), axis=axis) * (1 - share) + ops.take(x, high.tolist(), axis=axis) * share
        return x

    return resized


_MERGES: dict[type[Layer], type[keras.layers.Layer]] = {
    merge.Add: keras.layers.Add,
    merge.Subtract: keras.layers.Subtract,
    merge.Multiply: keras.layers.Multiply,
    merge.Average: keras.layers.Average,
    merge.Maximum: keras.layers.Maximum,
    merge.Minimum: keras.layers.Minimum,
}


@stock(*_MERGES)
def _merge(layer: Layer, node: Node, name: str) -> Any:
    return _MERGES[type(layer)](dtype=DTYPE, name=name)


@stock(merge.Concat)
def _concat(layer: merge.Concat, node: Node, name: str) -> Any:
    axis = layer.axis + 1 if layer.axis >= 0 else layer.axis
    return keras.layers.Concatenate(axis=axis, dtype=DTYPE, name=name)


@stock(product.MatMul)
def _matmul(layer: product.MatMul, node: Node, name: str) -> Any:
    def turned(x: Any, wanted: bool) -> Any:
        return ops.swapaxes(x, -1, -2) if wanted else x

    return lambda xs: ops.matmul(turned(xs[0], layer.transpose_first), turned(xs[1], layer.transpose_second))


@stock(product.Dot)
def _dot(layer: product.Dot, node: Node, name: str) -> Any:
    def length(x: Any) -> Any:
        return ops.sqrt(ops.maximum(ops.sum(ops.square(x), axis=-1, keepdims=True), layer.epsilon**2))

    def dot(xs: list[Any]) -> Any:
        y = ops.sum(xs[0] * xs[1], axis=-1, keepdims=True)
        return y / (length(xs[0]) * length(xs[1])) if layer.normalize else y

    return dot
