"""Recurrent layers: the input's part for all steps at once, then a loop over the recurrent part.

Padding stands at the end, so that what comes before it does not depend on it: masked layers run over everything
and clear what lies past a sequence's end. In half precision they keep full precision.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from dlrun.backends.tensorflow import scan
from dlrun.backends.tensorflow.lowering import Lowered, lowers
from dlrun.layers import recurrent


class _Recurrent(Lowered):
    def call(self, inputs: tf.Tensor | Sequence[tf.Tensor], training: bool | None = None) -> tf.Tensor:
        """Shapes: (N, L, C), mask (N, L) -> (N, L, ways units), or (N, ways units) without sequences."""
        x, *mask = inputs if isinstance(inputs, (list, tuple)) else (inputs,)
        lengths = tf.reduce_sum(mask[0], axis=1) if mask else None
        x_tnc = tf.transpose(tf.cast(x, self.variable_dtype), (1, 0, 2))
        ways = [self._way(x_tnc, way, lengths, bool(training)) for way in self.layer.ways()]
        if not self.layer.return_sequences:
            return tf.cast(tf.concat(ways, axis=-1), x.dtype)
        output = tf.transpose(tf.concat(ways, axis=-1) if len(ways) > 1 else ways[0], (1, 0, 2))
        if lengths is not None:
            kept = tf.sequence_mask(lengths, x.shape[1])[:, :, None]
            output = tf.where(kept, output, tf.constant(0, output.dtype))
        return tf.cast(output, x.dtype)

    def _way(self, x_tnc: tf.Tensor, way: str, lengths: tf.Tensor | None, training: bool) -> tf.Tensor:
        """One direction: (T, N, units), or what each sequence ends with (N, units) without sequences."""
        backward = bool(way)
        if backward:
            x_tnc = _mirrored(x_tnc, lengths)
        steps, _, channels = x_tnc.shape
        rows = tf.matmul(tf.reshape(x_tnc, (-1, channels)), getattr(self, f"kernel{way}").value)
        rows = tf.nn.bias_add(rows, getattr(self, f"bias{way}").value)
        output = self._loop(tf.reshape(rows, (steps, -1, rows.shape[-1])), way, training)
        if self.layer.return_sequences:
            return _mirrored(output, lengths) if backward else output
        return output[-1] if lengths is None else last(tf.transpose(output, (1, 0, 2)), lengths)

    def _loop(self, z: tf.Tensor, way: str, training: bool) -> tf.Tensor:
        """The state after each step, from the input's part of the gates: (T, N, gates units) -> (T, N, units)."""
        raise NotImplementedError


@lowers(recurrent.LSTM)
class LSTM(_Recurrent):
    """Long short-term memory."""

    def _loop(self, z: tf.Tensor, way: str, training: bool) -> tf.Tensor:
        return scan.lstm(z, tf.convert_to_tensor(getattr(self, f"recurrent_kernel{way}").value), training)


@lowers(recurrent.GRU)
class GRU(_Recurrent):
    """Gated recurrent unit, the reset gate applied after the recurrent product."""

    def _loop(self, z: tf.Tensor, way: str, training: bool) -> tf.Tensor:
        kernel, bias = (getattr(self, f"recurrent_{what}{way}").value for what in ("kernel", "bias"))
        return scan.gru(z, tf.convert_to_tensor(kernel), tf.convert_to_tensor(bias), training)


@lowers(recurrent.SimpleRNN)
class SimpleRNN(_Recurrent):
    """Recurrent layer without gates."""

    def _loop(self, z: tf.Tensor, way: str, training: bool) -> tf.Tensor:
        kernel = tf.convert_to_tensor(getattr(self, f"recurrent_kernel{way}").value)
        return scan.simple_rnn(z, kernel, self.layer.nonlinearity, training)


def _mirrored(x_tnc: tf.Tensor, lengths: tf.Tensor | None) -> tf.Tensor:
    """Each sequence from its end to its start; what lies past the end stays."""
    if lengths is None:
        return tf.reverse(x_tnc, axis=(0,))
    return tf.reverse_sequence(x_tnc, lengths, seq_axis=0, batch_axis=1)


def last(x: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Each sequence's last step, 0 for empty ones: (N, L, C), (N,) -> (N, C)."""
    found = tf.gather(x, tf.maximum(lengths - 1, 0), batch_dims=1)
    return tf.where((lengths > 0)[:, None], found, tf.constant(0, found.dtype))


@lowers(recurrent.Last)
class Last(Lowered):
    """The last step within each sequence."""

    def call(self, inputs: tf.Tensor | Sequence[tf.Tensor]) -> tf.Tensor:
        """Shapes: (N, L, C), mask (N, L) -> (N, C)."""
        x, *mask = inputs if isinstance(inputs, (list, tuple)) else (inputs,)
        return last(x, tf.reduce_sum(mask[0], axis=1)) if mask else x[:, -1]
