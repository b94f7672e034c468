"""Dropout masks as pure functions of (seed, layer, step, micro-batch)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

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

    def apply(self, x: tf.Tensor, rate: float, index: int) -> tf.Tensor:
        """Dropout of the model's layer number ``index``; outside of a training step a plain one."""
        if self._keys is None:
            return tf.nn.dropout(x, rate=rate)
        if self._portable:
            first = tf.cast(self._first_sample, tf.int64) * x.shape[1:].num_elements()
            keep = portable_keep(self._keys[index], first, tf.shape(x), rate)
        else:
            counter = tf.stack([tf.constant(0, tf.uint64), tf.cast(self._part, tf.uint64)])
            uniform = tf.raw_ops.StatelessRandomUniformV2(
                shape=tf.shape(x), key=self._keys[index : index + 1], counter=counter, alg=_PHILOX, dtype=tf.float32
            )
            keep = uniform >= rate
        return x * (tf.cast(keep, x.dtype) * (1 / (1 - rate)))


def portable_keep(key: tf.Tensor, offset: tf.Tensor, shape: tf.Tensor, rate: float) -> tf.Tensor:
    """The bits of ``randomness.keep_mask``: key uint64, offset int64 -> bool of ``shape``."""

    def constant(value: int) -> tf.Tensor:
        return tf.constant(value, tf.uint32)

    index = tf.range(tf.reduce_prod(tf.cast(shape, tf.int64)), dtype=tf.int64) + offset
    low = tf.cast(tf.bitwise.bitwise_and(key, tf.constant(_MASK32, tf.uint64)), tf.uint32)
    h = tf.cast(tf.bitwise.bitwise_and(index, tf.constant(_MASK32, tf.int64)), tf.uint32)
    h = h * constant(0x9E3779B9) + low
    for shift, factor in _ROUNDS:
        h = tf.bitwise.bitwise_xor(h, tf.bitwise.right_shift(h, constant(shift))) * constant(factor)
    h = tf.bitwise.bitwise_xor(h, tf.bitwise.right_shift(h, constant(15)))
    return tf.reshape(h >= constant(int(rate * 2**32)), shape)
