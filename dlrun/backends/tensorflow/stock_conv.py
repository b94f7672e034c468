"""Convolutions said with Keras' own layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from dlrun.backends.tensorflow.conv_forms import every
from dlrun.backends.tensorflow.stock import DTYPE, stock
from dlrun.graph import Node
from dlrun.layers import conv, conv_transpose, depthwise
from dlrun.layers.window import Pads, Window, per_axis

Step = Callable[[Any], Any]


class Steps:
    """A Keras layer with what stands before and after it.

    Args:
        layer: The one that has the weights.
        before: Applied to its input, or None.
        after: Applied to its output, or None.
    """

    def __init__(self, layer: keras.layers.Layer, before: Step | None = None, after: Step | None = None) -> None:
        self.layer, self.before, self.after = layer, before, after

    def __call__(self, x: Any) -> Any:
        y = self.layer(x if self.before is None else self.before(x))
        return y if self.after is None else self.after(y)

    def set_weights(self, weights: list[np.ndarray]) -> None:
        self.layer.set_weights(weights)


def zero_padding(added: Pads, name: str) -> keras.layers.Layer:
    """Keras' layer that adds zeros around a sequence, image or volume."""
    rank = len(added)
    kind = getattr(keras.layers, f"ZeroPadding{rank}D")
    return kind(added[0] if rank == 1 else added, data_format="channels_last", dtype=DTYPE, name=f"{name}_pad")


def _sliding(kind: str, window: Window, node: Node, name: str, further: dict[str, Any]) -> Any:
    """A Keras convolution; what it refuses (a stride beside a dilation, say) is every s-th of all positions."""
    spatial = node.input_types[0].shape[: len(window.size)]
    refused = max(window.stride) > 1 and (max(window.dilation) > 1 or len(set(window.stride)) > 1)
    words = window.padding in ("valid", "same", "causal") and not refused
    layer = getattr(keras.layers, kind)(
        kernel_size=window.size,
        strides=1 if refused else window.stride,
        dilation_rate=window.dilation,
        padding=window.padding if words else "valid",
        data_format="channels_last",
        dtype=DTYPE,
        name=name,
        **further,
    )
    if words:
        return layer
    added = window.pads(spatial)
    before = zero_padding(added, name) if any(cells for pair in added for cells in pair) else None
    return Steps(layer, before, (lambda y: every(y, window.stride)) if refused else None)


@stock(conv.Conv1D, conv.Conv2D, conv.Conv3D)
def _conv(layer: conv.Conv, node: Node, name: str) -> Any:
    further = {"filters": layer.filters, "groups": layer.groups, "use_bias": layer.bias}
    return _sliding(f"Conv{layer.rank}D", layer.window(), node, name, further)


@stock(depthwise.DepthwiseConv1D, depthwise.DepthwiseConv2D)
def _depthwise(layer: depthwise.DepthwiseConv, node: Node, name: str) -> Any:
    further = {"depth_multiplier": layer.multiplier, "use_bias": layer.bias}
    window = layer.window()
    if window.padding == "causal":  # which only Keras' Conv1D knows
        window = Window(window.size, window.stride, window.dilation, layer.pads(node.input_types[0]))
    return _sliding(f"DepthwiseConv{layer.rank}D", window, node, name, further)


@stock(conv_transpose.Conv1DTranspose, conv_transpose.Conv2DTranspose, conv_transpose.Conv3DTranspose)
def _transposed(layer: conv_transpose.ConvTranspose, node: Node, name: str) -> Any:
    rank, spatial = layer.rank, node.input_types[0].shape[: layer.rank]
    size, stride, cuts = per_axis(layer.kernel, rank), per_axis(layer.stride, rank), layer.cuts(spatial)
    same = layer.padding == "same"
    native = getattr(keras.layers, f"Conv{rank}DTranspose")(
        filters=layer.filters,
        kernel_size=size,
        strides=stride,
        padding="same" if same else "valid",
        output_padding=None if same else tuple(max(cut.beyond, 0) for cut in cuts),
        dilation_rate=1,
        data_format="channels_last",
        use_bias=layer.bias,
        dtype=DTYPE,
        name=name,
    )
    if same or all(cut.before == 0 and cut.beyond >= 0 for cut in cuts):
        return native
    kept = (slice(None), *(slice(cut.before, cut.before + cut.count) for cut in cuts))
    return Steps(native, after=lambda y: y[kept])
