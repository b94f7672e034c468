"""Recurrent layers over sequences, forwards or both ways, with or without padding at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Lt

from dlrun.described import described
from dlrun.graph.layer import Composite, Example, Layer, Weight, layers, require_mask, require_sequence
from dlrun.graph.tensor import TensorType
from dlrun.initializers import Initial, Initializer, check_initializer, initializer_of

_X, _MASK = TensorType((5, 3)), TensorType((5,), "int")
_CASES = (
    Example({"units": 4}, (_X,)),
    Example({"units": 4, "return_sequences": False}, (_X,)),
    Example({"units": 2, "bidirectional": True}, (_X,)),
    Example({"units": 3, "bidirectional": True, "return_sequences": False}, (TensorType((1, 2)),)),
    Example({"units": 4}, (_X, _MASK)),
    Example({"units": 4, "return_sequences": False}, (_X, _MASK)),
    Example({"units": 2, "bidirectional": True}, (_X, _MASK)),
    Example({"units": 2, "bidirectional": True, "return_sequences": False}, (_X, _MASK)),
    Example({"units": 4}, (TensorType((5,)),), raises="wrong-rank"),
    Example({"units": 4}, (TensorType((5, 3), "int"),), raises="wrong-dtype"),
    Example({"units": 4}, (_X, TensorType((5,))), raises="wrong-dtype"),
    Example({"units": 4}, (_X, TensorType((4,), "int")), raises="mask-length"),
)


@described
class Recurrent(Layer):
    """What all recurrent layers share; subclasses add their gates.

    The weights of the way back have names that end in ``_backward``.
    """

    arity = (1, 2)
    gates: ClassVar[int] = 1
    """Blocks of ``units`` columns side by side in every kernel."""

    units: Annotated[int, Gt(0)]
    return_sequences: bool = True
    bidirectional: bool = False
    kernel_initializer: Initial = "glorot_uniform"
    recurrent_initializer: Initial = "orthogonal"
    bias_initializer: Initial = "zeros"

    def infer(self, *inputs: TensorType) -> TensorType:
        x = inputs[0]
        require_sequence(self.kind, x)
        for mask in inputs[1:]:
            require_mask(self.kind, mask, x.shape[0])
        for field in ("kernel_initializer", "recurrent_initializer", "bias_initializer"):
            check_initializer(getattr(self, field), field)
        width = self.units * (2 if self.bidirectional else 1)
        return TensorType((x.shape[0], width) if self.return_sequences else (width,))

    def weights(self, *inputs: TensorType) -> tuple[Weight, ...]:
        channels, columns = inputs[0].shape[1], self.gates * self.units
        return tuple(
            weight
            for way in self.ways()
            for weight in (
                Weight(f"kernel{way}", (channels, columns), self.kernel_initializer),
                Weight(f"recurrent_kernel{way}", (self.units, columns), self.recurrent_initializer),
                *self.biases(way, columns),
            )
        )

    def ways(self) -> tuple[str, ...]:
        """What the names of each direction's weights end in."""
        return ("", "_backward") if self.bidirectional else ("",)

    def biases(self, way: str, columns: int) -> Iterator[Weight]:
        """The biases of one direction."""
        yield Weight(f"bias{way}", (columns,), self.bias_initializer)

    def flops(self, *inputs: TensorType) -> int:
        length, channels = inputs[0].shape
        per_step = 2 * (channels + self.units) * self.gates * self.units + 10 * self.gates * self.units
        return length * per_step * len(self.ways())


@layers("simple_rnn")
class SimpleRNN(Recurrent):
    """Recurrent layer without gates.

    h[t] = f(x[t] W + h[t - 1] U + b), with h[-1] = 0, W the kernel, U the recurrent kernel, b the bias and f
    the nonlinearity. With a mask, steps past a sequence's end give 0 and the state stays as it was.

    Args:
        units: Length of h.
        nonlinearity: f.
        return_sequences: Every h[t], or only the last one within the sequence.
        bidirectional: Whether a second layer with weights of its own reads backwards; its outputs stand beside.
        kernel_initializer: How W starts.
        recurrent_initializer: How U starts.
        bias_initializer: How b starts.

    Shapes: (N, L, C), optionally a mask (N, L) of ones, then zeros -> (N, L, units), or (N, units) without
        sequences; twice the units both ways.
    Weights: ``kernel`` (C, units); ``recurrent_kernel`` (units, units); ``bias`` (units,); the way back
        the same with ``_backward``.
    Errors: wrong-rank, wrong-dtype, mask-length, unknown-initializer.
    Differs: torch trains two biases that are added; Keras repeats the last output in the padding.
    Source: Elman 1990.
    """

    known_as = ("rnn",)

    nonlinearity: Literal["tanh", "relu"] = "tanh"

    examples = (*_CASES, Example({"units": 3, "nonlinearity": "relu", "bidirectional": True}, (_X, _MASK)))


@described
class ForgetBias(Initializer):
    """How an LSTM's bias starts: block f, the second of four, at a constant.

    Args:
        others: How the other blocks start.
        value: Of block f.
    """

    others: Initial
    value: float

    # a constant of other initializers' classes; this one's depends on its field
    @property
    def of_kernel(self) -> bool:  # type: ignore[override]
        """As the other blocks' initializer."""
        return initializer_of(self.others).of_kernel

    def draw(self, g: np.random.Generator, shape: tuple[int, ...], fans: tuple[int, int]) -> np.ndarray:
        values = np.array(initializer_of(self.others).draw(g, shape, fans), np.float64)
        values.reshape(4, -1)[1] = self.value
        return values


@layers("lstm")
class LSTM(Recurrent):
    """Long short-term memory.

    i, f, o = sigmoid and g = tanh of the four blocks of x[t] W + h[t - 1] U + b, in the order i, f, g, o;
    c[t] = f c[t - 1] + i g and h[t] = o tanh(c[t]), with h[-1] = c[-1] = 0, W the kernel, U the recurrent
    kernel and b the bias. With a mask, steps past a sequence's end give 0 and the state stays as it was.

    Args:
        units: Length of h and c.
        return_sequences: Every h[t], or only the last one within the sequence.
        bidirectional: Whether a second layer with weights of its own reads backwards; its outputs stand beside.
        forget_bias: What the bias of f starts at; as ``bias_initializer`` says when none.
        kernel_initializer: How W starts.
        recurrent_initializer: How U starts, all four blocks as one matrix.
        bias_initializer: How b starts.

    Shapes: (N, L, C), optionally a mask (N, L) of ones, then zeros -> (N, L, units), or (N, units) without
        sequences; twice the units both ways.
    Weights: ``kernel`` (C, 4 units); ``recurrent_kernel`` (units, 4 units); ``bias`` (4 units,); the way back
        the same with ``_backward``.
    Errors: wrong-rank, wrong-dtype, mask-length, unknown-initializer.
    Differs: torch trains two biases that are added, so that each update counts twice, starts everything
        uniformly in 1/sqrt(units) and f's bias not at 1; Keras repeats the last output in the padding.
    Source: Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000; Jozefowicz et al. 2015 (f's bias).
    """

    gates = 4

    forget_bias: float | None = 1.0

    examples = (*_CASES, Example({"units": 3, "forget_bias": None}, (_X,)))

    def biases(self, way: str, columns: int) -> Iterator[Weight]:
        start = self.bias_initializer
        if self.forget_bias is not None:
            start = ForgetBias(others=start, value=self.forget_bias)
        yield Weight(f"bias{way}", (columns,), start)


@layers("gru")
class GRU(Recurrent):
    """Gated recurrent unit, the reset gate applied after the recurrent product.

    r, z = sigmoid of the first two blocks of x[t] W + b + h[t - 1] U + d; n = tanh(x[t] W3 + b3 + r (h[t - 1] U3
    + d3)) of the third; h[t] = (1 - z) n + z h[t - 1], with h[-1] = 0, W the kernel, U the recurrent kernel, b the
    bias and d the recurrent bias. With a mask, steps past a sequence's end give 0 and the state stays as it was.

    Args:
        units: Length of h.
        return_sequences: Every h[t], or only the last one within the sequence.
        bidirectional: Whether a second layer with weights of its own reads backwards; its outputs stand beside.
        kernel_initializer: How W starts.
        recurrent_initializer: How U starts, all three blocks as one matrix.
        bias_initializer: How b and d start.

    Shapes: (N, L, C), optionally a mask (N, L) of ones, then zeros -> (N, L, units), or (N, units) without
        sequences; twice the units both ways.
    Weights: ``kernel`` (C, 3 units); ``recurrent_kernel`` (units, 3 units); ``bias`` (3 units,);
        ``recurrent_bias`` (3 units,); blocks in the order r, z, n; the way back the same with ``_backward``.
    Errors: wrong-rank, wrong-dtype, mask-length, unknown-initializer.
    Differs: the blocks stand as z, r, n in Keras; Keras repeats the last output in the padding.
    Source: Cho et al. 2014; the place of the reset gate as in cuDNN.
    """

    gates = 3

    examples = _CASES

    def biases(self, way: str, columns: int) -> Iterator[Weight]:
        yield Weight(f"bias{way}", (columns,), self.bias_initializer)
        yield Weight(f"recurrent_bias{way}", (columns,), self.bias_initializer)


@layers("recurrent_stack")
class RecurrentStack(Composite):
    """Recurrent layers on top of one another, with dropout between them.

    y = r_n(d(… d(r_1(x)))), with r the recurrent layers, each with weights of its own, d the dropout and n the
    number of layers.

    Args:
        cell: Which recurrent layer.
        units: Length of each layer's state.
        layers: n.
        dropout: Share of elements zeroed between two layers, in training.
        return_sequences: Every step of the last layer, or only the last one within the sequence.
        bidirectional: Whether each layer reads both ways.

    Shapes: (N, L, C), optionally a mask (N, L) of ones, then zeros -> as its last layer.
    Weights: ``layer1.*`` to ``layer<n>.*``, as those of the recurrent layer.
    Errors: wrong-rank, wrong-dtype, mask-length.
    Differs: `dropout` in torch and Keras draws from hidden generators; Keras' `recurrent_dropout` is another thing.
    Source: Graves, Mohamed & Hinton 2013; Zaremba, Sutskever & Vinyals 2014 (dropout).
    """

    arity = (1, 2)
    cell: Literal["lstm", "gru", "simple_rnn"] = "lstm"
    units: Annotated[int, Gt(0)]
    layers: Annotated[int, Gt(0)] = 2
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    return_sequences: bool = True
    bidirectional: bool = False

    examples = (
        Example({"units": 3, "layers": 2, "dropout": 0.3}, (_X,)),
        Example({"cell": "gru", "units": 2, "bidirectional": True, "return_sequences": False}, (_X, _MASK)),
        Example({"units": 3}, (TensorType((5,)),), raises="wrong-rank"),
    )

    def expand(self, sub: Any, *inputs: str) -> str:
        x, *mask = inputs
        for i in range(1, self.layers + 1):
            last = i == self.layers
            x = sub.add(
                self.cell,
                x,
                *mask,
                name=f"layer{i}",
                units=self.units,
                bidirectional=self.bidirectional,
                return_sequences=self.return_sequences or not last,
                trainable=self.trainable,
            )
            if self.dropout and not last:
                x = sub.add("dropout", x, rate=self.dropout)
        return x


@layers("last")
class Last(Layer):
    """The last step of each sequence.

    y = x[l - 1], with l the number of steps that the mask keeps, all of them without one; 0 where it keeps none.

    Args: none.

    Shapes: (N, L, C), optionally a mask (N, L) of ones, then zeros -> (N, C).
    Weights: none.
    Errors: wrong-rank, wrong-dtype, mask-length.
    Differs: `x[:, -1]` reads padding.
    Source: none.
    """

    arity = (1, 2)
    examples = (
        Example({}, (_X,)),
        Example({}, (_X, _MASK)),
        Example({}, (TensorType((5,)),), raises="wrong-rank"),
        Example({}, (_X, TensorType((3,), "int")), raises="mask-length"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        x = inputs[0]
        require_sequence(self.kind, x)
        for mask in inputs[1:]:
            require_mask(self.kind, mask, x.shape[0])
        return TensorType(x.shape[1:])
