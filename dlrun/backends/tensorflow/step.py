"""One update as a graph: forward, backward, clipping, optimizer, moving average."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from dlrun.backends.tensorflow.ema import MovingAverage
from dlrun.backends.tensorflow.losses import LoweredLoss
from dlrun.backends.tensorflow.model import Network
from dlrun.backends.tensorflow.optimizers import Rule
from dlrun.backends.tensorflow.precision import LossScale
from dlrun.backends.tensorflow.rules import Rules
from dlrun.recipe import Train


class Step:
    """What an update does; called while a tf.function is traced, or as it stands to debug.

    Args:
        train: Micro-batches and clipping.
        network: The model.
        loss: What is minimised.
        rule: The optimizer.
        rules: Penalties and limits.
        average: Moving average of the weights, or None.
        scale: Loss scale, or None.

    ``scalars`` is how many numbers the optimizer takes per update.
    """

    def __init__(
        self,
        train: Train,
        network: Network,
        loss: LoweredLoss,
        rule: Rule,
        rules: Rules,
        average: MovingAverage | None,
        scale: LossScale | None,
    ) -> None:
        self._network = network
        self._loss = loss
        self._rule = rule
        self._rules = rules
        self._train = train
        self._average = average
        self._scale = scale
        self._variables = list(rule.weights.values())
        self.scalars = len(rule.scalars(1, 0.0))

    def __call__(self, x: tf.Tensor, y: tf.Tensor, scalars: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        """Do one update and return its loss.

        Shapes: x (B, *), y (B, *), scalars float64 (k,) for the optimizer, keys uint64 (dropout
        layers,) -> scalar of the loss' dtype.
        """
        loss, gradients = self._gradients(x, y, keys)
        row = tf.unstack(tf.cast(scalars, self._loss.dtype), num=self.scalars)
        if self._scale is None:
            self._update(gradients, row)
        else:
            # Division by a power of two is exact; an overflow stays one.
            gradients = [g / self._scale.scale for g in gradients]
            self._scale.guard(gradients, lambda: self._update(gradients, row))
        return loss

    def gradients(self, x: tf.Tensor, y: tf.Tensor, keys: tf.Tensor) -> list[tf.Tensor]:
        """Gradients of an update before clipping, in the order of the weights."""
        _, gradients = self._gradients(x, y, keys)
        scale = 1 if self._scale is None else self._scale.scale
        return [tf.convert_to_tensor(g) / scale for g in gradients]

    def _update(self, gradients: Sequence[tf.Tensor], row: Sequence[tf.Tensor]) -> None:
        self._rule.apply(self._clipped(self._rules.penalised(gradients)), row)
        self._rules.limit()
        if self._average is not None:
            self._average.update()

    def _clipped(self, gradients: Sequence[tf.Tensor]) -> Sequence[tf.Tensor]:
        value, norm = self._train.clip_value, self._train.clip_norm
        if value is not None:
            gradients = [tf.clip_by_value(g, -value, value) for g in gradients]
        if norm is not None:
            total = tf.sqrt(tf.add_n([tf.reduce_sum(g * g) for g in gradients]))
            factor = tf.minimum(tf.constant(1, total.dtype), norm / (total + 1e-6))
            gradients = [g * factor for g in gradients]
        return gradients

    def _gradients(self, x: tf.Tensor, y: tf.Tensor, keys: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        weight = self._loss.weight(y)
        if self._train.micro_batches == 1:
            return self._part(x, y, weight, keys, 0, 0)
        if x.shape[0] is not None:  # step by step, or for XLA, which wants static shapes
            return self._unrolled(x, y, weight, keys)
        samples = tf.shape(x)[0]
        parts = tf.minimum(samples, self._train.micro_batches)
        each, larger = samples // parts, samples % parts

        def body(i: tf.Tensor, loss: tf.Tensor, *sums: tf.Tensor) -> tuple[tf.Tensor, ...]:
            start = i * each + tf.minimum(i, larger)
            stop = start + each + tf.cast(i < larger, tf.int32)
            more, gradients = self._part(x[start:stop], y[start:stop], weight, keys, i, start)
            return (i + 1, loss + more, *(s + g for s, g in zip(sums, gradients, strict=True)))

        zeros = [tf.zeros(v.shape, v.dtype) for v in self._variables]
        first = (tf.constant(0), tf.constant(0, self._loss.dtype), *zeros)
        _, loss, *sums = tf.while_loop(lambda i, *_: i < parts, body, first, parallel_iterations=1)
        return loss, sums

    def _unrolled(
        self, x: tf.Tensor, y: tf.Tensor, weight: tf.Tensor, keys: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        parts = min(x.shape[0], self._train.micro_batches)
        loss, sums, start = tf.constant(0, self._loss.dtype), [tf.zeros(v.shape, v.dtype) for v in self._variables], 0
        for i in range(parts):
            stop = start + x.shape[0] // parts + (i < x.shape[0] % parts)
            more, gradients = self._part(x[start:stop], y[start:stop], weight, keys, i, start)
            loss, sums, start = loss + more, [s + g for s, g in zip(sums, gradients, strict=True)], stop
        return loss, sums

    def _part(
        self,
        x: tf.Tensor,
        y: tf.Tensor,
        weight: tf.Tensor,
        keys: tf.Tensor,
        part: tf.Tensor | int,
        first_sample: tf.Tensor | int,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Loss and (scaled) gradients of one part of the batch, divided by the whole batch's weight."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._variables)
            with self._network.draws.at(keys, part, first_sample):
                output = self._network.model(x, training=True)
            several = isinstance(output, list)
            read = [tf.cast(o, self._loss.dtype) for o in output] if several else tf.cast(output, self._loss.dtype)
            loss = self._loss.part(read, y, weight)
            minimised = loss if self._scale is None else loss * self._scale.scale
        found = tape.gradient(minimised, self._variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return loss, [tf.convert_to_tensor(g) for g in found]  # gathered rows come as sparse slices
