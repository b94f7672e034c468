"""Token ids in and out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from dlrun.backends.tensorflow.lowering import Lowered, lowers
from dlrun.layers import embedding


class _FromIds(Lowered):
    """A layer whose input is ids and whose output's type is the graph's."""

    def compute_output_spec(self, inputs: Any, **_: Any) -> keras.KerasTensor:
        """Shape and type from the graph."""
        dtype = "int64" if self.node.output.dtype == "int" else self.compute_dtype
        return keras.KerasTensor((None, *self.node.output.shape), dtype=dtype)


@lowers(embedding.Embedding)
class Embedding(_FromIds):
    """A row for each id, times a constant."""

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        """Shapes: ids (N, *) -> (N, *, units)."""
        rows = looked_up(ids, self.layer.vocabulary, self.layer.padding)(tf.convert_to_tensor(self.table.value))
        return rows if self.layer.multiplier == 1 else rows * tf.constant(self.layer.multiplier, rows.dtype)


def looked_up(ids: tf.Tensor, vocabulary: int, padding: int | None) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from a table to the rows of ``ids``.

    Its gradient is dense, as the optimizers' formulas want it, and 0 in the padding row: a negative segment is
    left out of the sum.
    """

    @tf.custom_gradient
    def rows_of(table: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        def backward(upstream: tf.Tensor) -> tf.Tensor:
            kept = ids if padding is None else tf.where(tf.equal(ids, padding), tf.constant(-1, ids.dtype), ids)
            return tf.math.unsorted_segment_sum(upstream, kept, vocabulary)

        return tf.gather(table, ids), backward

    return rows_of


@lowers(embedding.EmbeddingLogits)
class EmbeddingLogits(Lowered):
    """x E^T."""

    mixed = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, *, C) -> (N, *, vocabulary)."""
        scores = tf.matmul(tf.reshape(x, (-1, x.shape[-1])), self.table.value, transpose_b=True)
        return tf.reshape(scores, (-1, *self.node.output.shape))


@lowers(embedding.Bias)
class Bias(Lowered):
    """x + b."""

    mixed = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Shapes: (N, *, C) -> (N, *, C)."""
        return tf.nn.bias_add(x, self.bias.value)


@lowers(embedding.PaddingMask)
class PaddingMask(_FromIds):
    """1 where an id is not padding."""

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        """Shapes: ids (N, *) -> int64 (N, *)."""
        return tf.cast(tf.not_equal(ids, self.layer.padding), tf.int64)


@lowers(embedding.ShiftRight)
class ShiftRight(_FromIds):
    """The start id, then all ids but the last."""

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        """Shapes: ids (N, L) -> (N, L)."""
        return tf.pad(ids[:, :-1], ((0, 0), (1, 0)), mode="CONSTANT", constant_values=self.layer.start)
