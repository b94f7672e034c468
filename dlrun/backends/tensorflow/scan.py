"""Loops over the steps of a sequence, with gradients worked out by hand.

Left to itself, TensorFlow differentiates a loop step by step: it keeps every intermediate value on a list and
multiplies matrices for the recurrent kernel's gradient in each step. Here all that does not depend on the step
before is done for all steps at once, and the way back through time holds one matrix product per step.

Shapes: z, the input's part of the gates, (T, N, gates H); recurrent kernels (H, gates H); states (T, N, H).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

Tensors = tuple[tf.Tensor, ...]
Step = Callable[[Tensors, Sequence[tf.Tensor]], tuple[Tensors, Tensors]]
"""(state, this step's slices) -> (state, this step's outputs)."""
Backward = Callable[[tf.Tensor], Any]

ROUND = 16
"""Steps that one turn of the loop holds: a turn costs as much as a few small operations."""
UNROLLED = 256
"""Up to so many steps there is no loop outside of training: exporters know no loops of this kind."""


def lstm(z: tf.Tensor, kernel: tf.Tensor, training: bool) -> tf.Tensor:
    """h of each step; blocks in the order i, f, g, o."""
    start = _zeros(z, kernel)

    def forward(state: Tensors, now: Sequence[tf.Tensor]) -> tuple[Tensors, Tensors]:
        h, c = state
        i, f, g, o = tf.split(now[0] + tf.matmul(h, kernel), 4, axis=1)
        i, f, g, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)
        c = f * c + i * g
        h = o * tf.tanh(c)
        return (h, c), (h, c, i, f, g, o)

    def backward(up: tf.Tensor, values: Tensors) -> tuple[tf.Tensor, tf.Tensor]:
        h, c, i, f, g, o = values
        tanh = tf.tanh(c)
        to_cell = o * (1 - tanh * tanh)
        slopes = tf.concat((g * i * (1 - i), _before(c) * f * (1 - f), i * (1 - g * g), tanh * o * (1 - o)), axis=2)

        def back(state: Tensors, now: Sequence[tf.Tensor]) -> tuple[Tensors, Tensors]:
            dh, dc, (up, to_cell, slopes, f) = *state, now
            dh = dh + up
            dc = dc + dh * to_cell
            dz = tf.concat((dc, dc, dc, dh), axis=1) * slopes
            return (tf.matmul(dz, kernel, transpose_b=True), dc * f), (dz,)

        (dz,) = _scan(back, (start, start), (up, to_cell, slopes, f), reverse=True)
        return dz, _product(_before(h), dz)

    return _differentiated(forward, backward, (start, start), training)(z, kernel)


def gru(z: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, training: bool) -> tf.Tensor:
    """h of each step; blocks in the order r, z, n."""
    start = _zeros(z, kernel)
    units = kernel.shape[0]

    def forward(state: Tensors, now: Sequence[tf.Tensor]) -> tuple[Tensors, Tensors]:
        (h,) = state
        recurrent = tf.nn.bias_add(tf.matmul(h, kernel), bias)
        gates = tf.sigmoid(now[0][:, : 2 * units] + recurrent[:, : 2 * units])
        r, u = tf.split(gates, 2, axis=1)
        inner = recurrent[:, 2 * units :]
        n = tf.tanh(now[0][:, 2 * units :] + r * inner)
        h = n + u * (h - n)
        return (h,), (h, r, u, n, inner)

    def backward(up: tf.Tensor, values: Tensors) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        h, r, u, n, inner = values
        before = _before(h)
        to_n = (1 - u) * (1 - n * n)
        to_r, to_u = to_n * inner * r * (1 - r), (before - n) * u * (1 - u)
        slopes = tf.concat((to_r, to_u, to_n * r), axis=2)

        def back(state: Tensors, now: Sequence[tf.Tensor]) -> tuple[Tensors, Tensors]:
            (dh,), (up, slopes, u) = state, now
            dh = dh + up
            inside = tf.concat((dh, dh, dh), axis=1) * slopes
            return (dh * u + tf.matmul(inside, kernel, transpose_b=True),), (dh,)

        (dh,) = _scan(back, (start,), (up, slopes, u), reverse=True)
        inside = tf.concat((dh, dh, dh), axis=2) * slopes
        dz = tf.concat((inside[:, :, : 2 * units], dh * to_n), axis=2)
        return dz, _product(before, inside), tf.reduce_sum(inside, axis=(0, 1))

    return _differentiated(forward, backward, (start,), training)(z, kernel, bias)


def simple_rnn(z: tf.Tensor, kernel: tf.Tensor, nonlinearity: str, training: bool) -> tf.Tensor:
    """h of each step."""
    start = _zeros(z, kernel)
    apply = tf.tanh if nonlinearity == "tanh" else tf.nn.relu

    def forward(state: Tensors, now: Sequence[tf.Tensor]) -> tuple[Tensors, Tensors]:
        h = apply(now[0] + tf.matmul(state[0], kernel))
        return (h,), (h,)

    def backward(up: tf.Tensor, values: Tensors) -> tuple[tf.Tensor, tf.Tensor]:
        (h,) = values
        slopes = 1 - h * h if nonlinearity == "tanh" else tf.cast(h > 0, h.dtype)

        def back(state: Tensors, now: Sequence[tf.Tensor]) -> tuple[Tensors, Tensors]:
            dz = (state[0] + now[0]) * now[1]
            return (tf.matmul(dz, kernel, transpose_b=True),), (dz,)

        (dz,) = _scan(back, (start,), (up, slopes), reverse=True)
        return dz, _product(_before(h), dz)

    return _differentiated(forward, backward, (start,), training)(z, kernel)


def _differentiated(
    forward: Step, backward: Callable[[tf.Tensor, Tensors], Tensors], start: Tensors, training: bool
) -> Callable[..., tf.Tensor]:
    """A function of (z, weights) with ``backward`` as its gradient; outside of training TensorFlow's own suffices.

    ``forward`` gives the states first, then what ``backward`` reads.
    """

    def plain(z: tf.Tensor, *weights: tf.Tensor) -> tf.Tensor:
        def step(state: Tensors, now: Sequence[tf.Tensor]) -> tuple[Tensors, Tensors]:
            state, outputs = forward(state, now)
            return state, outputs[:1]

        unrolled = z.shape[0] <= UNROLLED
        return (_unrolled(step, start, (z,), False)[1] if unrolled else _scan(step, start, (z,)))[0]

    def kept(z: tf.Tensor, *weights: tf.Tensor) -> tuple[tf.Tensor, Backward]:
        values = _scan(forward, start, (z,))
        return values[0], lambda up: backward(up, values)

    return tf.custom_gradient(kept) if training else plain


def _zeros(z: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The state before the first step, (N, H)."""
    return tf.zeros((tf.shape(z)[1], kernel.shape[0]), z.dtype)


def _before(states: tf.Tensor) -> tf.Tensor:
    """The state that each step starts from."""
    return tf.concat((tf.zeros_like(states[:1]), states[:-1]), axis=0)


def _product(states: tf.Tensor, slopes: tf.Tensor) -> tf.Tensor:
    """The recurrent kernel's gradient, all steps in one product."""
    left, right = (tf.reshape(x, (-1, x.shape[-1])) for x in (states, slopes))
    return tf.matmul(left, right, transpose_a=True)


def _scan(step: Step, state: Tensors, sequences: Sequence[tf.Tensor], reverse: bool = False) -> Tensors:
    """Outputs of every step, each (T, N, *), in the order of the steps.

    Args:
        step: One step.
        state: Where the first one starts.
        sequences: What is read step by step, each (T, N, *), T known.
        reverse: Whether the last step comes first.
    """
    length = sequences[0].shape[0]
    turns = length // ROUND
    if turns <= 1:
        return _unrolled(step, state, sequences, reverse)[1]
    even = turns * ROUND
    whole, rest = [x[:even] for x in sequences], [x[even:] for x in sequences]
    if even == length:
        return _turned(step, state, sequences, turns, reverse)[1]
    if reverse:
        state, tail = _unrolled(step, state, rest, reverse)
        _, head = _turned(step, state, whole, turns, reverse)
    else:
        state, head = _turned(step, state, whole, turns, reverse)
        _, tail = _unrolled(step, state, rest, reverse)
    return tuple(tf.concat(both, axis=0) for both in zip(head, tail, strict=True))


def _unrolled(step: Step, state: Tensors, sequences: Sequence[tf.Tensor], reverse: bool) -> tuple[Tensors, Tensors]:
    """The last state and the outputs, stacked."""
    slices = list(zip(*[tf.unstack(x, axis=0) for x in sequences], strict=True))
    outputs = []
    for now in reversed(slices) if reverse else slices:
        state, output = step(state, now)
        outputs.append(output)
    ordered = outputs[::-1] if reverse else outputs
    return state, tuple(tf.stack(each, axis=0) for each in zip(*ordered, strict=True))


def _turned(
    step: Step, state: Tensors, sequences: Sequence[tf.Tensor], turns: int, reverse: bool
) -> tuple[Tensors, Tensors]:
    """The same as a loop of ``turns`` times ``ROUND`` steps."""
    rounds = [tf.reshape(x, (turns, ROUND, -1, x.shape[-1])) for x in sequences]
    reads = [tf.TensorArray(x.dtype, size=turns, element_shape=x.shape[1:]).unstack(x) for x in rounds]

    def turn(at: tf.Tensor | int, state: Tensors) -> tuple[Tensors, Tensors]:
        return _unrolled(step, state, [read.read(at) for read in reads], reverse)

    first = turns - 1 if reverse else 0
    state, outputs = turn(first, state)
    made = [tf.TensorArray(x.dtype, size=turns, element_shape=x.shape).write(first, x) for x in outputs]

    def body(i: tf.Tensor, state: Tensors, written: Sequence[tf.TensorArray]) -> tuple[Any, ...]:
        at = first - i if reverse else i
        state, outputs = turn(at, state)
        return i + 1, state, [w.write(at, x) for w, x in zip(written, outputs, strict=True)]

    _, state, written = tf.while_loop(
        lambda i, *_: i < turns, body, (tf.constant(1), state, made), parallel_iterations=1
    )
    joined = [tf.reshape(w.stack(), (turns * ROUND, -1, x.shape[-1])) for w, x in zip(written, outputs, strict=True)]
    return state, tuple(joined)
