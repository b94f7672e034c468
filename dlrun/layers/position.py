"""Where a step stands: positions added to a sequence or turned into it, and the class token."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Gt

from dlrun.errors import DlrunError
from dlrun.graph.layer import Example, Layer, Weight, layers, require_sequence
from dlrun.graph.tensor import TensorType
from dlrun.initializers import Initial, check_initializer

Positive = Annotated[int, Gt(0)]
_SEQUENCE = TensorType((5, 6))
_BAD = (
    Example({}, (TensorType((5, 6), "int"),), raises="wrong-dtype"),
    Example({}, (TensorType((6,)),), raises="wrong-rank"),
)


@layers("sinusoidal_position")
class SinusoidalPosition(Layer):
    """Sines and cosines of the position, added.

    y[t, 2k] = x[t, 2k] + sin(t / b^(2k / C)) and y[t, 2k + 1] = x[t, 2k + 1] + cos(t / b^(2k / C)), with
    t the step from 0, C the channels and b the base.

    Args:
        base: b.

    Shapes: (N, L, C) -> (N, L, C).
    Weights: none.
    Errors: wrong-dtype, wrong-rank.
    Differs: many codes put all sines before all cosines; the paper, Keras and this layer alternate.
    Source: Vaswani et al. 2017.
    """

    base: Annotated[float, Gt(0)] = 10000.0

    examples = (Example({}, (_SEQUENCE,)), Example({"base": 100.0}, (TensorType((4, 5)),)), *_BAD)

    def infer(self, *inputs: TensorType) -> TensorType:
        require_sequence(self.kind, inputs[0])
        return inputs[0]

    def table(self, length: int, channels: int) -> np.ndarray:
        """What is added, float64 (length, channels)."""
        channel = np.arange(channels)
        angle = np.arange(length)[:, None] * np.power(self.base, -(channel // 2 * 2) / channels)
        result: np.ndarray = np.where(channel % 2 == 0, np.sin(angle), np.cos(angle))
        return result

    def flops(self, *inputs: TensorType) -> int:
        return inputs[0].size


@layers("learned_position")
class LearnedPosition(Layer):
    """A learned vector for each position, added.

    y[t] = x[t] + P[t], with t the step from 0 and P the table.

    Args:
        length: Rows of P; the sequence's length when left out, and never below it.
        initializer: How P starts.

    Shapes: (N, L, C) -> (N, L, C).
    Weights: ``table`` (length, C).
    Errors: wrong-dtype, wrong-rank, length-too-small, unknown-initializer.
    Differs: nothing.
    Source: Gehring et al. 2017.
    """

    length: Positive | None = None
    initializer: Initial = "glorot_uniform"

    examples = (
        Example({}, (_SEQUENCE,)),
        Example({"length": 8}, (TensorType((4, 3)),)),
        Example({"length": 4}, (_SEQUENCE,), raises="length-too-small"),
        *_BAD,
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require_sequence(self.kind, x)
        check_initializer(self.initializer, "initializer")
        if self.length is not None and self.length < x.shape[0]:
            raise DlrunError(
                "length-too-small",
                f"`length: {self.length}` has no position for each of the {x.shape[0]} steps of {x}.",
                path=("length",),
                hint=f"Use at least {x.shape[0]}, or leave `length` out.",
            )
        return x

    def weights(self, *inputs: TensorType) -> tuple[Weight, ...]:
        length, channels = inputs[0].shape
        return (Weight("table", (self.length or length, channels), self.initializer),)

    def flops(self, *inputs: TensorType) -> int:
        return inputs[0].size


@layers("rotary_position")
class RotaryPosition(Layer):
    """Pairs of channels turned by an angle that grows with the position, in each head.

    y[k] = x[k] cos(a) - x[k + d/2] sin(a) and y[k + d/2] = x[k + d/2] cos(a) + x[k] sin(a), with
    a = t / b^(2k / d), t the step from 0, d the units of a head, k < d/2 and b the base. Interleaved, the
    pairs are channels 2k and 2k + 1 instead.

    Args:
        heads: Heads that lie side by side in the last axis.
        base: b.
        interleaved: Whether the channels of a pair are neighbours.

    Shapes: (N, L, C) -> (N, L, C), with C = heads d.
    Weights: none.
    Errors: wrong-dtype, wrong-rank, heads-not-dividing, odd-head.
    Differs: the paper interleaves, most models since (GPT-NeoX, Llama) do not.
    Source: Su et al. 2021.
    """

    heads: Positive
    base: Annotated[float, Gt(0)] = 10000.0
    interleaved: bool = False

    examples = (
        Example({"heads": 2}, (TensorType((5, 8)),)),
        Example({"heads": 1, "base": 50.0, "interleaved": True}, (_SEQUENCE,)),
        Example({"heads": 4}, (_SEQUENCE,), raises="heads-not-dividing"),
        Example({"heads": 2}, (_SEQUENCE,), raises="odd-head"),
        Example({"heads": 1}, (TensorType((5, 6), "int"),), raises="wrong-dtype"),
        Example({"heads": 1}, (TensorType((6,)),), raises="wrong-rank"),
    )

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require_sequence(self.kind, x)
        units = x.shape[1] // self.heads
        if x.shape[1] % self.heads:
            raise DlrunError(
                "heads-not-dividing",
                f"`heads: {self.heads}` does not divide the {x.shape[1]} channels of {x}.",
                path=("heads",),
            )
        if units % 2:
            raise DlrunError(
                "odd-head",
                f"`heads: {self.heads}` leaves {units} channels a head; turning pairs needs an even number.",
                path=("heads",),
            )
        return x

    def angles(self, length: int, units: int) -> np.ndarray:
        """a of each step and pair, float64 (length, units / 2)."""
        rate = np.power(self.base, -2 * np.arange(units // 2) / units)
        result: np.ndarray = np.arange(length)[:, None] * rate
        return result

    def flops(self, *inputs: TensorType) -> int:
        return 3 * inputs[0].size


@layers("class_token")
class ClassToken(Layer):
    """A learned step put before a sequence; what comes out there stands for the whole.

    y = [c, x[0], x[1], …], with c the token.

    Args:
        initializer: How c starts.

    Shapes: (N, L, C) -> (N, L + 1, C).
    Weights: ``token`` (C,).
    Errors: wrong-dtype, wrong-rank, unknown-initializer.
    Differs: nothing.
    Source: Devlin et al. 2019; Dosovitskiy et al. 2021.
    """

    initializer: Initial = "zeros"

    examples = (Example({}, (_SEQUENCE,)), Example({}, (TensorType((1, 2)),)), *_BAD)

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        require_sequence(self.kind, x)
        check_initializer(self.initializer, "initializer")
        return TensorType((x.shape[0] + 1, x.shape[1]))

    def weights(self, *inputs: TensorType) -> tuple[Weight, ...]:
        return (Weight("token", inputs[0].shape[1:], self.initializer),)
