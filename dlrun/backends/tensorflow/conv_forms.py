"""Ways to say a convolution: TensorFlow's own kernels where they and their gradients exist, own forms elsewhere.

On a CPU, gradients of grouped and of dilated convolutions exist only for some formats and builds
(with oneDNN: float32). TensorFlow itself is asked, once for each kind, by running a small one.
"""

from __future__ import annotations

import functools

import tensorflow as tf

from dlrun.backends.processor import thin_first
from dlrun.layers.window import Pads, Window

FORMATS = {2: "NHWC", 3: "NDHWC"}
_GRADIENTS = {
    2: (tf.raw_ops.Conv2DBackpropInput, tf.raw_ops.Conv2DBackpropFilter),
    3: (tf.raw_ops.Conv3DBackpropInputV2, tf.raw_ops.Conv3DBackpropFilterV2),
}


def convolve(x: tf.Tensor, kernel: tf.Tensor, window: Window, groups: int) -> tf.Tensor:
    """Cross-correlation.

    Args:
        x: (N, *, C), of any number of spatial axes up to three.
        kernel: (k..., C / groups, filters).
        window: The kernel's window.
        groups: Parts into which channels and filters are cut.

    Shapes: (N, *, C) -> (N, *, filters).
    """
    if len(window.size) == 1:
        return convolve(x[:, None], kernel[None], lifted(window), groups)[:, 0]
    channels, filters = x.shape[-1], kernel.shape[-1]
    if 1 < groups == channels:
        return depthwise(x, tf.reshape(kernel, (*window.size, channels, filters // channels)), window)
    plain = max(window.dilation) == 1
    if (plain and groups == 1) or native(window.stride, window.dilation, groups > 1, x.dtype.name):
        x, padding = padded(x, window)
        stride = window.stride
        if groups == 1 and thin_first(window, channels):
            x, stride = every(x, stride), (1, 1)
        return _direct(x, kernel, stride, window.dilation, padding)
    if groups > 1:
        parts = zip(tf.split(x, groups, axis=-1), tf.split(kernel, groups, axis=-1), strict=True)
        return tf.concat([convolve(part, own, window, 1) for part, own in parts], axis=-1)
    return _every_position(x, kernel, window)


def lifted(window: Window) -> Window:
    """The window of a sequence seen as an image of height 1; strides stay equal, which depthwise kernels need."""
    ((stride,), (dilation,)) = window.stride, window.dilation
    padding = window.padding
    if not isinstance(padding, str):
        padding = ((0, 0), *window.pads((0,)))
    return Window((1, *window.size), (stride, stride), (dilation, dilation), padding, window.ceil)


def padded(x: tf.Tensor, window: Window) -> tuple[tf.Tensor, str]:
    """An input with its padding, and what is left for the kernel to add: ``SAME`` or ``VALID``."""
    spatial = tuple(x.shape[1:-1])
    if window.same(spatial):
        return x, "SAME"
    return pad(x, window.pads(spatial)), "VALID"


def pad(x: tf.Tensor, added: Pads, value: float = 0.0) -> tf.Tensor:
    """An input with cells around it."""
    if not any(cells for pair in added for cells in pair):
        return x
    return tf.pad(x, ((0, 0), *added, (0, 0)), mode="CONSTANT", constant_values=value)


def every(x: tf.Tensor, stride: tuple[int, ...]) -> tf.Tensor:
    """Each stride-th position along each axis."""
    return x[(slice(None), *(slice(None, None, s) for s in stride))]


def _direct(
    x: tf.Tensor, kernel: tf.Tensor, stride: tuple[int, ...], dilation: tuple[int, ...], padding: str
) -> tf.Tensor:
    rank = len(stride)
    operation = tf.nn.conv2d if rank == 2 else tf.nn.conv3d
    return operation(
        x, kernel, strides=(1, *stride, 1), padding=padding, data_format=FORMATS[rank], dilations=(1, *dilation, 1)
    )


def _every_position(x: tf.Tensor, kernel: tf.Tensor, window: Window) -> tf.Tensor:
    """Move by one cell and keep every stride-th position: no kernel here has both a stride and a dilation."""
    x = pad(x, window.pads(tuple(x.shape[1:-1])))
    y = tf.nn.convolution(
        x,
        kernel,
        strides=(1,) * len(window.size),
        padding="VALID",
        data_format=FORMATS[len(window.size)],
        dilations=window.dilation,
    )
    return every(y, window.stride)


@functools.cache
def native(stride: tuple[int, ...], dilation: tuple[int, ...], grouped: bool, dtype: str) -> bool:
    """Whether TensorFlow has such a convolution and its gradients here."""
    groups, rank = 2 if grouped else 1, len(stride)
    with tf.init_scope():
        x = tf.ones((1, *(2 * d + 1 for d in dilation), groups), dtype)
        kernel = tf.ones((3,) * rank + (1, groups), dtype)
        further = {
            "strides": (1, *stride, 1),
            "padding": "VALID",
            "data_format": FORMATS[rank],
            "dilations": (1, *dilation, 1),
        }
        to_input, to_kernel = _GRADIENTS[rank]
        try:
            y = _direct(x, kernel, stride, dilation, "VALID")
            found = [
                to_input(input_sizes=x.shape, filter=kernel, out_backprop=y, **further),
                to_kernel(input=x, filter_sizes=kernel.shape, out_backprop=y, **further),
            ]
        except (tf.errors.OpError, ValueError):
            return False
        # a window of ones: every gradient is the number of its taps
        return all(bool(tf.reduce_all(tf.reshape(g, (-1,))[:1] == 3**rank)) for g in found)


def depthwise(x: tf.Tensor, kernel: tf.Tensor, window: Window) -> tf.Tensor:
    """Each channel with kernels of its own.

    Args:
        x: (N, *, C), of any number of spatial axes up to three.
        kernel: (k..., C, m).
        window: The kernel's window.

    Shapes: (N, *, C) -> (N, *, C m).
    """
    rank = len(window.size)
    if rank == 1:
        return depthwise(x[:, None], kernel[None], lifted(window))[:, 0]
    if rank == 3:
        return _depthwise_volume(x, kernel, window)
    if window.stride[0] == window.stride[1] and 1 in (window.stride[0], max(window.dilation)):
        x, padding = padded(x, window)
        return _depthwise_direct(x, kernel, window.stride, window.dilation, padding)
    x = pad(x, window.pads(tuple(x.shape[1:-1])))
    return every(_depthwise_direct(x, kernel, (1, 1), window.dilation, "VALID"), window.stride)


def _depthwise_direct(
    x: tf.Tensor, kernel: tf.Tensor, stride: tuple[int, ...], dilation: tuple[int, ...], padding: str
) -> tf.Tensor:
    return tf.nn.depthwise_conv2d(
        x, kernel, strides=(1, *stride, 1), padding=padding, data_format="NHWC", dilations=dilation
    )


def _depthwise_volume(x: tf.Tensor, kernel: tf.Tensor, window: Window) -> tf.Tensor:
    """The sum over the kernel's depth of convolutions of images."""
    x = pad(x, window.pads(tuple(x.shape[1:-1])))
    stride, dilation = window.stride[0], window.dilation[0]
    count = (x.shape[1] - window.span[0]) // stride + 1
    flat = Window(window.size[1:], window.stride[1:], window.dilation[1:], "valid")
    total = None
    for tap in range(window.size[0]):
        first = tap * dilation
        slices = x[:, first : first + (count - 1) * stride + 1 : stride]
        y = depthwise(tf.reshape(slices, (-1, *x.shape[2:])), kernel[tap], flat)
        total = y if total is None else total + y
    return tf.reshape(total, (-1, count, *total.shape[1:]))
