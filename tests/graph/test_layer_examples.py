"""What each layer's own examples promise, as far as it can be seen without a framework."""

from __future__ import annotations

import math

import pytest

from dlrun.errors import DlrunError
from dlrun.graph import Composite, Example, TensorType, layers
from dlrun.layers.window import pads

CASES = [
    pytest.param(kind, example, id=f"{kind}-{i}")
    for kind in layers
    for i, example in enumerate(layers.get(kind).examples)
]


@pytest.mark.parametrize(("kind", "example"), CASES)
def test_example_infers_or_raises_as_it_says(kind: str, example: Example) -> None:
    layer = layers.get(kind)(**example.fields)
    if isinstance(layer, Composite):
        return  # is built, rightly or wrongly, by the conformance suite
    if example.raises is None:
        output = layer.infer(*example.inputs)
        assert all(axis > 0 for axis in output.shape)
        assert layer.flops(*example.inputs) >= 0
        assert all(math.prod(w.shape) > 0 for w in layer.weights(*example.inputs))
    else:
        with pytest.raises(DlrunError) as caught:
            layer.infer(*example.inputs)
        assert caught.value.code == example.raises


@pytest.mark.parametrize("kind", layers.names())
def test_every_layer_shows_an_example(kind: str) -> None:
    cls = layers.get(kind)
    assert issubclass(cls, Composite) or any(e.raises is None for e in cls.examples)


@pytest.mark.parametrize(
    ("n", "kernel", "stride", "dilation", "expected"),
    [(28, 3, 1, 1, (1, 1)), (28, 3, 2, 1, (0, 1)), (27, 3, 2, 1, (1, 1)), (8, 2, 1, 1, (0, 1)), (10, 3, 2, 2, (1, 2))],
)
def test_same_padding_puts_the_odd_cell_after(n, kernel, stride, dilation, expected) -> None:
    assert pads((n, n), (kernel, kernel), (stride, stride), (dilation, dilation), "same") == (expected, expected)


def test_shapes_by_hand() -> None:
    x = TensorType((28, 27, 1))
    conv = layers.get("conv2d")
    assert conv(filters=4, kernel=3).infer(x).shape == (26, 25, 4)
    assert conv(filters=4, kernel=(5, 3), stride=2).infer(x).shape == (12, 13, 4)
    assert conv(filters=4, kernel=3, stride=2, padding="same").infer(x).shape == (14, 14, 4)
    assert layers.get("max_pool2d")(size=2).infer(x).shape == (14, 13, 1)
    assert layers.get("avg_pool2d")(size=3, stride=2, padding="same").infer(x).shape == (14, 14, 1)
    assert layers.get("reshape")(shape=(-1, 9)).infer(x).shape == (84, 9)


def test_canonical_kernels() -> None:
    (kernel, bias) = layers.get("conv2d")(filters=4, kernel=(5, 3)).weights(TensorType((9, 9, 2)))
    assert (kernel.shape, bias.shape) == ((5, 3, 2, 4), (4,))
    assert layers.get("dense")(units=4, bias=False).weights(TensorType((7,)))[0].shape == (7, 4)
