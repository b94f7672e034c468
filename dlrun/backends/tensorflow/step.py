"""One update as a graph: forward, backward, clipping, optimizer, moving average."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from dlrun.backends.tensorflow.ema import MovingAverage
from dlrun.backends.tensorflow.losses import LoweredLoss
from dlrun.backends.tensorflow.model import Network
from dlrun.backends.tensorflow.optimizers import Rule
from dlrun.backends.tensorflow.precision import LossScale
from dlrun.backends.tensorflow.rules import Rules
from dlrun.recipe import Train


@dataclass(frozen=True)
class Objective:
    """Some of the weights and what they minimise.

    Args:
        model: Of the network's outputs, those that the loss reads.
        weights: What is trained, by canonical name.
        loss: What is minimised.
        rules: Penalties and limits.
    """

    model: Callable[..., Any]
    weights: dict[str, tf.Variable]
    loss: LoweredLoss
    rules: Rules


class Step:
    """What an update does; called while a tf.function is traced, or as it stands to debug.

    Args:
        train: Micro-batches and clipping.
        network: The model.
        objectives: What an update consists of, in order; usually one.
        rule: The optimizer.
        average: Moving average of the weights, or None.
        scale: Loss scale, or None.

    ``scalars`` is how many numbers the optimizer takes per update.
    """

    def __init__(
        self,
        train: Train,
        network: Network,
        objectives: Sequence[Objective],
        rule: Rule,
        average: MovingAverage | None,
        scale: LossScale | None,
    ) -> None:
        self._network = network
        self._objectives = list(objectives)
        self._rule = rule
        self._train = train
        self._average = average
        self._scale = scale
        self.scalars = len(rule.scalars(1, 0.0))

    def __call__(self, x: tf.Tensor, y: tf.Tensor, scalars: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        """Do one update and return its loss.

        With several objectives each is followed by an update of its own weights, and the losses are added up.

        Shapes: x (B, *), y (B, *), scalars float64 (k,) for the optimizer, keys uint64 (dropout
        layers,) -> scalar of the loss' dtype.
        """
        row = tf.unstack(tf.cast(scalars, self._objectives[0].loss.dtype), num=self.scalars)
        losses = []
        for i, objective in enumerate(self._objectives):
            last = i == len(self._objectives) - 1
            losses.append(self._minimise(objective, x, y, row, keys, last))
        return losses[0] if len(losses) == 1 else tf.add_n(losses)

    def _minimise(
        self,
        objective: Objective,
        x: tf.Tensor,
        y: tf.Tensor,
        row: Sequence[tf.Tensor],
        keys: tf.Tensor,
        last: bool,
    ) -> tf.Tensor:
        """Update the weights of one objective; returns its loss."""
        loss, gradients = self._gradients(objective, x, y, keys)
        if self._scale is None:
            self._update(objective, gradients, row, last)
        else:
            # Division by a power of two is exact; an overflow stays one.
            gradients = [g / self._scale.scale for g in gradients]
            self._scale.guard(gradients, lambda: self._update(objective, gradients, row, last))
        return loss

    def gradients(self, x: tf.Tensor, y: tf.Tensor, keys: tf.Tensor) -> list[tf.Tensor]:
        """Gradients of an update before clipping, in the order of the optimizer's weights.

        With several objectives, those of each as the weights are before the update.
        """
        found = {name: tf.zeros(w.shape, w.dtype) for name, w in self._rule.weights.items()}
        scale = 1 if self._scale is None else self._scale.scale
        for objective in self._objectives:
            _, gradients = self._gradients(objective, x, y, keys)
            for name, g in zip(objective.weights, gradients, strict=True):
                found[name] += tf.convert_to_tensor(g) / scale
        return list(found.values())

    def _update(
        self, objective: Objective, gradients: Sequence[tf.Tensor], row: Sequence[tf.Tensor], last: bool
    ) -> None:
        clipped = self._clipped(objective.rules.penalised(gradients))
        self._rule.apply(dict(zip(objective.weights, clipped, strict=True)), row)
        objective.rules.limit()
        if self._average is not None and last:
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

    def _gradients(
        self, objective: Objective, x: tf.Tensor, y: tf.Tensor, keys: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        weight = objective.loss.weight(y)
        if self._train.micro_batches == 1:
            return self._part(objective, x, y, weight, keys, 0, 0)
        if x.shape[0] is not None:  # step by step, or for XLA, which wants static shapes
            return self._unrolled(objective, x, y, weight, keys)
        samples = tf.shape(x)[0]
        parts = tf.minimum(samples, self._train.micro_batches)
        each, larger = samples // parts, samples % parts

        def body(i: tf.Tensor, loss: tf.Tensor, *sums: tf.Tensor) -> tuple[tf.Tensor, ...]:
            start = i * each + tf.minimum(i, larger)
            stop = start + each + tf.cast(i < larger, tf.int32)
            more, gradients = self._part(objective, x[start:stop], y[start:stop], weight, keys, i, start)
            return (i + 1, loss + more, *(s + g for s, g in zip(sums, gradients, strict=True)))

        zeros = [tf.zeros(v.shape, v.dtype) for v in objective.weights.values()]
        first = (tf.constant(0), tf.constant(0, objective.loss.dtype), *zeros)
        _, loss, *sums = tf.while_loop(lambda i, *_: i < parts, body, first, parallel_iterations=1)
        return loss, sums

    def _unrolled(
        self, objective: Objective, x: tf.Tensor, y: tf.Tensor, weight: tf.Tensor, keys: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        parts = min(x.shape[0], self._train.micro_batches)
        sums = [tf.zeros(v.shape, v.dtype) for v in objective.weights.values()]
        loss, start = tf.constant(0, objective.loss.dtype), 0
        for i in range(parts):
            stop = start + x.shape[0] // parts + (i < x.shape[0] % parts)
            more, gradients = self._part(objective, x[start:stop], y[start:stop], weight, keys, i, start)
            loss, sums, start = loss + more, [s + g for s, g in zip(sums, gradients, strict=True)], stop
        return loss, sums

    def _part(
        self,
        objective: Objective,
        x: tf.Tensor,
        y: tf.Tensor,
        weight: tf.Tensor,
        keys: tf.Tensor,
        part: tf.Tensor | int,
        first_sample: tf.Tensor | int,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Loss and (scaled) gradients of one part of the batch, divided by the whole batch's weight."""
        variables, dtype = list(objective.weights.values()), objective.loss.dtype
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            with self._network.draws.at(keys, part, first_sample):
                output = objective.model(x, training=True)
            several = isinstance(output, list)
            read = [tf.cast(o, dtype) for o in output] if several else tf.cast(output, dtype)
            loss = objective.loss.part(read, y, weight)
            minimised = loss if self._scale is None else loss * self._scale.scale
        found = tape.gradient(minimised, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return loss, [tf.convert_to_tensor(g) for g in found]  # gathered rows come as sparse slices
