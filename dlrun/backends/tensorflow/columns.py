"""Rows of a table."""

from __future__ import annotations

import tensorflow as tf

from dlrun.backends.tensorflow.embedding import looked_up
from dlrun.backends.tensorflow.lowering import Lowered, lowers
from dlrun.layers import columns


class _Columns(Lowered):
    """A row taken apart: numbers, and ids that are sure to be some."""

    def parts(self, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """(N, columns) -> numbers (N, numbers), int64 ids (N, categories)."""
        layer = self.layer
        given = tf.gather(x, tf.constant([c for c, _ in layer.coded], tf.int64), axis=1)
        counts = tf.constant([ids for _, ids in layer.coded], x.dtype)
        known = tf.logical_and(tf.logical_and(given >= 0, given < counts), tf.equal(given, tf.floor(given)))
        numbers = tf.gather(x, tf.constant(layer.numbers, tf.int64), axis=1)
        return numbers, tf.cast(tf.where(known, given, tf.zeros_like(given)), tf.int64)


@lowers(columns.OneHotColumns)
class OneHotColumns(_Columns):
    """Each id compared with all."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, columns) -> (N, numbers + ids)."""
        coded = self.layer.coded
        if not coded:
            return tf.identity(x)
        numbers, ids = self.parts(x)
        repeated = tf.gather(
            ids, tf.constant([i for i, (_, n) in enumerate(coded) for _ in range(n)], tf.int64), axis=1
        )
        codes = tf.constant([code for _, n in coded for code in range(n)], tf.int64)
        return tf.concat((numbers, tf.cast(tf.equal(repeated, codes), x.dtype)), axis=1)


@lowers(columns.ColumnEmbedding)
class ColumnEmbedding(_Columns):
    """A row for each id."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, columns) -> (N, numbers + units)."""
        coded = self.layer.coded
        if not coded:
            return tf.identity(x)
        numbers, ids = self.parts(x)
        tables = [(getattr(self, f"table{c}"), n) for c, n in coded]
        vectors = [
            tf.cast(looked_up(i, n, None)(tf.convert_to_tensor(table.value)), x.dtype)
            for i, (table, n) in zip(tf.unstack(ids, axis=1), tables, strict=True)
        ]
        return tf.concat((numbers, *vectors), axis=1)
