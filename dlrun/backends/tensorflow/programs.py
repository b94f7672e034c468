"""The compiled functions of an engine: a chunk of training, a step, a forward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from dlrun.backends.tensorflow.ema import MovingAverage
from dlrun.backends.tensorflow.model import Network
from dlrun.backends.tensorflow.pool import MaxPooling
from dlrun.backends.tensorflow.step import Step
from dlrun.plan import Plan


class Programs:
    """Traces each function once.

    AutoGraph stays off: it reads source files again and so may compile other code than what runs.

    Args:
        plan: Shapes, batch size and how to compile.
        network: The model.
        step: One update.
        average: Moving average of the weights, or None.
    """

    def __init__(self, plan: Plan, network: Network, step: Step, average: MovingAverage | None) -> None:
        choice, graph, target = plan.recipe.backend, plan.graph, plan.train_target
        self._batch_size = plan.recipe.data.batch_size
        self._eager, self._xla = choice.eager, choice.compile
        self._dtype = plan.array_dtype
        if self._xla:
            for layer in network.model.layers:
                if isinstance(layer, MaxPooling):
                    layer.sliced = True
        self._network = network
        self._step = step
        self._average = average
        self.target_dtype = "int64" if target.dtype == "int" else plan.array_dtype
        x = tf.TensorSpec((None, *graph.input.shape), self._dtype if graph.input.dtype == "float" else "int64")
        y = tf.TensorSpec((None, *target.shape), self.target_dtype)
        scalars, layers = step.scalars, len(network.dropouts)
        self.step = self._compiled(step, x, y, tf.TensorSpec((scalars,), "float64"), tf.TensorSpec((layers,), "uint64"))
        self.gradients = self._compiled(step.gradients, x, y, tf.TensorSpec((layers,), "uint64"))
        self.chunk = self._compiled(
            self._chunk,
            x,
            y,
            tf.TensorSpec((None,), "int64"),
            tf.TensorSpec((), "int64"),
            tf.TensorSpec((None, scalars), "float64"),
            tf.TensorSpec((None, layers), "uint64"),
        )
        self.forward = self._compiled(self._forward, x)
        self.averaged = self._compiled(self._averaged, x)

    def resident(
        self,
        x: tf.Tensor,
        y: tf.Tensor,
        order: tf.Tensor,
        first_batch: int,
        scalars: np.ndarray,
        keys: np.ndarray,
    ) -> np.ndarray:
        """Losses of ``len(scalars)`` updates on the batches from ``first_batch`` on, in ``order``."""
        first = tf.constant(first_batch, tf.int64)
        if not self._xla:
            return self.chunk(x, y, order, first, tf.constant(scalars), tf.constant(keys)).numpy()
        losses = [  # XLA wants static shapes: one program for full batches, one for an epoch's last
            self.step(*self._batch(x, y, order, first + i), tf.constant(scalars[i]), tf.constant(keys[i]))
            for i in range(len(scalars))
        ]
        return np.array([loss.numpy() for loss in losses])

    def notes(self, device: str) -> list[str]:
        """What a user should know of how the functions are compiled."""
        if self._eager:
            return ["`backend.eager` runs operation by operation: for debugging, slow"]
        if self._xla and device == "cpu":
            return ["`backend.compile` uses XLA, which is often slower than plain TensorFlow on a CPU"]
        return []

    def _compiled(self, function: Callable[..., tf.Tensor], *signature: tf.TensorSpec) -> Callable[..., tf.Tensor]:
        if self._eager:
            return function
        if self._xla:
            return tf.function(function, autograph=False, jit_compile=True, reduce_retracing=False)
        return tf.function(function, autograph=False, input_signature=signature)

    def _batch(self, x: tf.Tensor, y: tf.Tensor, order: tf.Tensor, number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        start = number * self._batch_size
        chosen = order[start : start + self._batch_size]
        return tf.gather(x, chosen), tf.gather(y, chosen)

    def _chunk(
        self, x: tf.Tensor, y: tf.Tensor, order: tf.Tensor, first: tf.Tensor, scalars: tf.Tensor, keys: tf.Tensor
    ) -> tf.Tensor:
        """A loop over as many steps as there are rows: neither graph nor bits depend on how many."""
        steps = tf.shape(scalars)[0]
        scalars = tf.cast(scalars, self._dtype)

        def body(i: tf.Tensor, losses: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            batch = self._batch(x, y, order, first + tf.cast(i, tf.int64))
            return i + 1, losses.write(i, self._step(*batch, tf.gather(scalars, i), tf.gather(keys, i)))

        losses = tf.TensorArray(self._dtype, size=steps, element_shape=())
        # One iteration at a time: the next one reads the variables this one writes.
        _, losses = tf.while_loop(lambda i, _: i < steps, body, (tf.constant(0), losses), parallel_iterations=1)
        return losses.stack()

    def _forward(self, x: tf.Tensor) -> tf.Tensor:
        output = self._network.model(x, training=False)
        return tf.cast(output[0] if isinstance(output, list) else output, self._dtype)

    def _averaged(self, x: tf.Tensor) -> tf.Tensor:
        assert self._average is not None
        averages = self._average.averages
        mapping: Sequence[tuple[keras.Variable, tf.Tensor]] = [
            (self._network.variables[name], average.read_value()) for name, average in averages.items()
        ]
        with keras.StatelessScope(state_mapping=mapping):
            return self._forward(x)
