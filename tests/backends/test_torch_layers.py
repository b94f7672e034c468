"""Every layer in torch: shapes, forward against numpy, gradients against finite differences, weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from dlrun.backends.torch.dropout import Clock, follow_clock
from dlrun.backends.torch.layout import channels_last_kernels, to_canonical, to_native
from dlrun.backends.torch.lowering import lower, lowered
from dlrun.backends.torch.weights import Bound, bind, load
from dlrun.graph import Composite, Example, Graph, Node, TensorType, layers

torch.set_num_threads(1)

EXAMPLES = [
    pytest.param(kind, example, id=f"{kind}-{i}")
    for kind in layers
    for i, example in enumerate(layers.get(kind).examples)
    if example.raises is None
    and not issubclass(layers.get(kind), Composite)
    and all(x.dtype == "float" for x in example.inputs)  # ids and masks are met in the conformance suite
]
Arrays = dict[str, np.ndarray]


class Built:
    """A layer alone in float64 with random weights."""

    def __init__(self, kind: str, example: Example) -> None:
        self.layer = layers.get(kind)(**example.fields)
        types = example.inputs
        names = tuple(f"in{i}" for i in range(len(types)))
        self.node = Node("it", self.layer, names, types, self.layer.infer(*types), self.layer.weights(*types))
        self.module = lower(self.node).to(torch.float64)
        channels_last_kernels(self.module)
        rng = np.random.default_rng(1)
        self.bound: list[Bound] = bind(Graph(types[0], (self.node,)), {"it": self.module})
        self.weights: Arrays = {b.weight.name: rng.uniform(0.5, 1.5, b.weight.shape) for b in self.bound}
        load(self.bound, {f"it.{name}": value for name, value in self.weights.items()})
        self.inputs = [rng.standard_normal((5, *t.shape)) for t in types]

    def __call__(self, *inputs: np.ndarray) -> np.ndarray:
        return to_canonical(self.module(*[to_native(torch.from_numpy(x)) for x in inputs])).detach().numpy()


@pytest.mark.parametrize("kind", layers.names())
def test_every_layer_is_lowered_or_composite(kind: str) -> None:
    assert issubclass(layers.get(kind), Composite) or layers.get(kind) in lowered()


# Short numpy references: (layer, inputs, weights) -> output, in evaluation mode.


def erf(x: np.ndarray) -> np.ndarray:
    return np.vectorize(math.erf)(x)


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def layer_norm(n: Node, x: np.ndarray, w: Arrays) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + n.layer.epsilon) * w.get("scale", 1) + w.get(
        "shift", 0
    )


def gelu(n: Node, x: np.ndarray, w: Arrays) -> np.ndarray:
    if n.layer.approximate == "tanh":
        return x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2
    return x * (1 + erf(x / math.sqrt(2))) / 2


REFERENCES = {
    "dense": lambda n, x, w: x @ w["kernel"] + w.get("bias", 0),
    "flatten": lambda n, x, w: x.reshape(len(x), -1),
    "reshape": lambda n, x, w: x.reshape(len(x), *n.output.shape),
    "batch_norm": lambda n, x, w: (
        (x - w["mean"]) / np.sqrt(w["variance"] + n.layer.epsilon) * w.get("scale", 1) + w.get("shift", 0)
    ),
    "layer_norm": layer_norm,
    "dropout": lambda n, x, w: x,
    "add": lambda n, *xw: sum(xw[:-1]),
    "concat": lambda n, *xw: np.concatenate(xw[:-1], n.layer.axis % (xw[0].ndim - 1) + 1),
    "relu": lambda n, x, w: np.maximum(x, 0),
    "relu6": lambda n, x, w: np.clip(x, 0, 6),
    "leaky_relu": lambda n, x, w: np.where(x > 0, x, n.layer.slope * x),
    "elu": lambda n, x, w: np.where(x > 0, x, n.layer.alpha * np.expm1(x)),
    "selu": lambda n, x, w: np.where(x > 0, 1.0507009873554805 * x, 1.7580993408473766 * np.expm1(x)),
    "gelu": gelu,
    "silu": lambda n, x, w: x / (1 + np.exp(-x)),
    "mish": lambda n, x, w: x * np.tanh(np.logaddexp(0, x)),
    "softplus": lambda n, x, w: np.logaddexp(0, x),
    "softsign": lambda n, x, w: x / (1 + abs(x)),
    "sigmoid": lambda n, x, w: 1 / (1 + np.exp(-x)),
    "tanh": lambda n, x, w: np.tanh(x),
    "hard_sigmoid": lambda n, x, w: np.clip(x + 3, 0, 6) / 6,
    "hard_swish": lambda n, x, w: x * np.clip(x + 3, 0, 6) / 6,
    "softmax": lambda n, x, w: softmax(x),
}


@pytest.mark.parametrize(("kind", "example"), [p for p in EXAMPLES if p.values[0] in REFERENCES])
def test_forward_is_the_numpy_reference(kind: str, example: Example) -> None:
    built = Built(kind, example)
    built.module.eval()
    found = built(*built.inputs)
    assert found.shape == (5, *built.node.output.shape)
    expected = REFERENCES[kind](built.node, *built.inputs, built.weights)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


ACTIVATIONS = [
    *[(kind, {}) for kind in layers if layers.get(kind).elementwise and kind in REFERENCES],
    ("leaky_relu", {"slope": 0.3}),
    ("elu", {"alpha": 0.7}),
    ("gelu", {"approximate": "tanh"}),
]


@pytest.mark.parametrize(("kind", "fields"), ACTIVATIONS)
def test_activations_far_from_zero(kind: str, fields: dict[str, object]) -> None:
    x = np.concatenate([np.linspace(-12, 12, 481), np.linspace(18, 45, 28), [-40.0, -100.0, 100.0]])[None]
    built = Built(kind, Example(fields, (TensorType(x.shape[1:]),)))
    with np.errstate(over="ignore"):
        expected = REFERENCES[kind](built.node, x, {})
    np.testing.assert_allclose(built(x), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("kind", "example"), [p for p in EXAMPLES if p.values[0] != "gradient_reversal"])  # no slope
def test_gradients_are_finite_differences(kind: str, example: Example) -> None:
    built = Built(kind, example)
    built.module.train()
    follow_clock(built.module, Clock(seed=1, portable=False, device=torch.device("cpu")))
    inputs = [to_native(torch.from_numpy(x)).requires_grad_() for x in built.inputs]
    trained = [b.tensor for b in built.bound if b.weight.trainable]
    assert torch.autograd.gradcheck(lambda *a: built.module(*a[: len(inputs)]), (*inputs, *trained), fast_mode=True)


@pytest.mark.parametrize(
    ("kind", "x", "gradient"),
    [
        ("relu", 0.0, 0.0),
        ("relu6", 6.0, 0.0),
        ("leaky_relu", 0.0, 0.01),
        ("selu", 0.0, 1.7580993408473766),
        ("hard_sigmoid", 3.0, 0.0),
        ("hard_sigmoid", -3.0, 0.0),
        ("hard_swish", 3.0, 1.0),
        ("hard_swish", -3.0, 0.0),
        ("hard_sigmoid", 1.0, 1 / 6),
    ],
)
def test_gradients_at_kinks(kind: str, x: float, gradient: float) -> None:
    built = Built(kind, Example({}, (TensorType((1,)),)))
    point = torch.full((1, 1), x, dtype=torch.float64, requires_grad=True)
    built.module(point).backward(torch.ones(1, 1, dtype=torch.float64))
    assert point.grad is not None
    assert abs(point.grad.item() - gradient) < 1e-15


def test_equal_values_share_or_take_the_gradient() -> None:
    def gradient(kind: str, fields: dict[str, object]) -> np.ndarray:
        built = Built(kind, Example(fields, (TensorType((2, 2, 1)),)))
        x = torch.zeros(1, 1, 2, 2, dtype=torch.float64, requires_grad=True)
        built.module(x).sum().backward()
        assert x.grad is not None
        return x.grad.numpy().ravel()

    np.testing.assert_array_equal(gradient("global_max_pool2d", {}), [0.25] * 4)
    np.testing.assert_array_equal(gradient("max_pool2d", {"size": 2}), [1, 0, 0, 0])


@pytest.mark.parametrize("shape", [(4, 5, 3), (6,), (7, 3), (2, 3, 2, 3)])
def test_batch_norm_moves_its_statistics(shape: tuple[int, ...]) -> None:
    built = Built("batch_norm", Example({"momentum": 0.3, "epsilon": 1e-3}, (TensorType(shape),)))
    built.module.train()
    (x,), w = built.inputs, built.weights
    axes = tuple(range(x.ndim - 1))
    mean, biased, unbiased = x.mean(axes), x.var(axes), x.var(axes, ddof=1)
    expected = (x - mean) / np.sqrt(biased + 1e-3) * w["scale"] + w["shift"]
    np.testing.assert_allclose(built(x), expected, rtol=1e-11, atol=1e-12)
    now = {b.weight.name: b.read(b.tensor) for b in built.bound}
    np.testing.assert_allclose(now["mean"], 0.7 * w["mean"] + 0.3 * mean, rtol=1e-12)
    np.testing.assert_allclose(now["variance"], 0.7 * w["variance"] + 0.3 * unbiased, rtol=1e-12)


@pytest.mark.parametrize(("kind", "example"), EXAMPLES)
def test_weights_round_trip(kind: str, example: Example) -> None:
    built = Built(kind, example)
    for b in built.bound:
        value = b.read(b.tensor)
        assert value.flags.c_contiguous
        assert value.shape == b.weight.shape
        np.testing.assert_array_equal(value, built.weights[b.weight.name])


def test_native_modules_are_torchs_own() -> None:
    def made(kind: str, shape: tuple[int, ...], **fields: object) -> torch.nn.Module:
        return Built(kind, Example(fields, (TensorType(shape),))).module

    conv = made("conv2d", (8, 8, 3), filters=4, kernel=3, padding="same")
    assert type(conv) is torch.nn.Conv2d
    assert conv.weight.is_contiguous(memory_format=torch.channels_last)
    uneven = made("conv2d", (8, 8, 3), filters=4, kernel=3, padding="same", stride=2)
    assert [type(m) for m in uneven.children()] == [torch.nn.ZeroPad2d, torch.nn.Conv2d]
    thinned = made("conv2d", (8, 8, 4), filters=4, kernel=1, stride=2)
    assert [type(m) for m in thinned.children()] == [torch.nn.AvgPool2d, torch.nn.Conv2d]
    assert type(made("conv2d", (8, 8, 8), filters=4, kernel=1, stride=2)) is torch.nn.Conv2d
    assert type(made("dense", (4,), units=2)) is torch.nn.Linear
    assert type(made("batch_norm", (4, 4, 2))) is torch.nn.BatchNorm2d
    assert type(made("batch_norm", (4,))) is torch.nn.BatchNorm1d
    assert type(made("layer_norm", (4,))) is torch.nn.LayerNorm
    assert type(made("max_pool2d", (4, 4, 1), size=2)) is torch.nn.MaxPool2d
    assert type(made("avg_pool2d", (4, 4, 1), size=2)) is torch.nn.AvgPool2d
