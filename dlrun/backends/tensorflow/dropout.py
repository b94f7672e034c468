"""Dropout masks and noise as pure functions of (seed, layer, step, micro-batch)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import tensorflow as tf

from dlrun.backends.tensorflow.lowering import Lowered

_PHILOX = 1
_MASK32 = 0xFFFFFFFF
_ROUNDS = ((16, 0x21F0AAAD), (15, 0x735A2D97))


class Draws:
    """What the dropout layers of a model read while a training step is traced.

    Args:
        portable: Whether masks have the bits of ``randomness.keep_mask``.
    """

    def __init__(self, portable: bool) -> None:
        self._portable = portable
        self._keys: tf.Tensor | None = None
        self._part: tf.Tensor | int = 0
        self._first_sample: tf.Tensor | int = 0

    @contextmanager
    def at(self, keys: tf.Tensor, part: tf.Tensor | int, first_sample: tf.Tensor | int) -> Iterator[None]:
        """Draw for one part of one step's batch.

        Args:
            keys: A key per dropout layer for the step, uint64 (layers,).
            part: Number of the micro-batch.
            first_sample: Position of its first sample within the batch.
        """
        self._keys, self._part, self._first_sample = keys, part, first_sample
        try:
            yield
        finally:
            self._keys = None

    def apply(self, x: tf.Tensor, rate: float, index: int, drawn: Sequence[int] | None = None) -> tf.Tensor:
        """Dropout of the model's layer number ``index``; outside of a training step a plain one.

        Args:
            x: (N, *).
            rate: Share zeroed.
            index: Which key to draw by.
            drawn: Shape of one sample's mask, 1 where an axis shares a draw; that of the sample when left out.
        """
        shape = tf.shape(x) if drawn is None else tf.stack([tf.shape(x)[0], *drawn])
        if self._keys is None:
            return tf.nn.dropout(x, rate=rate, noise_shape=shape)
        if self._portable:
            keep = portable_keep(self._keys[index], self._offset(x.shape[1:] if drawn is None else drawn), shape, rate)
        else:
            keep = self._uniform(shape, index) >= rate
        return x * (tf.cast(keep, x.dtype) * (1 / (1 - rate)))

    def noise(self, x: tf.Tensor, index: int, drawn: Sequence[int] | None = None) -> tf.Tensor:
        """Unit normal numbers for the model's layer number ``index``; any outside of a training step.

        Args:
            x: (N, *).
            index: Which key to draw by.
            drawn: Shape of one sample's numbers; that of the sample when left out.
        """
        shape = tf.shape(x) if drawn is None else tf.stack([tf.shape(x)[0], *drawn])
        if self._keys is None:
            return tf.random.normal(shape, dtype=x.dtype)
        if self._portable:
            offset = self._offset(x.shape[1:] if drawn is None else drawn)
            return tf.cast(portable_normal(self._keys[index], offset, shape), x.dtype)
        key, counter = self._state(index)
        normal = tf.raw_ops.StatelessRandomNormalV2(
            shape=shape, key=key, counter=counter, alg=_PHILOX, dtype=tf.float32
        )
        return tf.cast(normal, x.dtype)

    def _offset(self, sample: Sequence[int]) -> tf.Tensor:
        """Number of the part's first draw within the whole batch's."""
        return tf.cast(self._first_sample, tf.int64) * math.prod(sample)

    def _state(self, index: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Philox key (1,) and counter (2,) of a layer's draw."""
        counter = tf.stack([tf.constant(0, tf.uint64), tf.cast(self._part, tf.uint64)])
        return self._keys[index : index + 1], counter

    def _uniform(self, shape: tf.Tensor, index: int) -> tf.Tensor:
        key, counter = self._state(index)
        return tf.raw_ops.StatelessRandomUniformV2(shape=shape, key=key, counter=counter, alg=_PHILOX, dtype=tf.float32)


class Drawing(Lowered):
    """A layer that draws in training; the model sets ``draws`` and the layer's ``index`` among those that do."""

    draws: Draws
    index: int


def portable_keep(key: tf.Tensor, offset: tf.Tensor, shape: tf.Tensor, rate: float) -> tf.Tensor:
    """The bits of ``randomness.keep_mask``: key uint64, offset int64 -> bool of ``shape``."""
    low = tf.cast(tf.bitwise.bitwise_and(key, tf.constant(_MASK32, tf.uint64)), tf.uint32)
    return tf.reshape(_hashed(low, offset, shape) >= tf.constant(int(rate * 2**32), tf.uint32), shape)


def portable_normal(key: tf.Tensor, offset: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """``randomness.normal_noise``: key uint64, offset int64 -> float64 of ``shape``."""
    low = tf.cast(tf.bitwise.bitwise_and(key, tf.constant(_MASK32, tf.uint64)), tf.uint32)
    high = tf.cast(tf.bitwise.right_shift(key, tf.constant(32, tf.uint64)), tf.uint32)
    first = tf.cast(_hashed(low, offset, shape), tf.float64)
    second = tf.cast(_hashed(high, offset, shape), tf.float64)
    radius = tf.sqrt(-2 * tf.math.log((first + 0.5) / 2**32))
    return tf.reshape(radius * tf.cos(second * tf.constant(2 * math.pi / 2**32, tf.float64)), shape)


def _hashed(key: tf.Tensor, offset: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """A hash of key (uint32) and each flat index from ``offset`` on, uint32 (elements of shape,)."""

    def constant(value: int) -> tf.Tensor:
        return tf.constant(value, tf.uint32)

    index = tf.range(tf.reduce_prod(tf.cast(shape, tf.int64)), dtype=tf.int64) + offset
    h = tf.cast(tf.bitwise.bitwise_and(index, tf.constant(_MASK32, tf.int64)), tf.uint32)
    h = h * constant(0x9E3779B9) + key
    for shift, factor in _ROUNDS:
        h = tf.bitwise.bitwise_xor(h, tf.bitwise.right_shift(h, constant(shift))) * constant(factor)
    return tf.bitwise.bitwise_xor(h, tf.bitwise.right_shift(h, constant(15)))
