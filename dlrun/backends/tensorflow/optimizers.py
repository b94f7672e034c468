"""Update rules with the formulas of ``dlrun.optimizers``.

Scalars that change with the step (learning rate, bias corrections) are computed on the host in
float64 and reach the graph as one row of a tensor, cast once to the weights' dtype.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import tensorflow as tf

from dlrun import optimizers
from dlrun.backends.tensorflow.lowering import lowering, lowers


class Rule:
    """An optimizer over variables.

    Args:
        spec: The description.
        weights: Trainable variables by canonical name.
        decayed: Names of those that weight decay applies to.

    ``slots`` holds its variables as ``<weight>/<slot>``.
    """

    def __init__(self, spec: optimizers.Optimizer, weights: Mapping[str, tf.Variable], decayed: frozenset[str]) -> None:
        self.spec = spec
        self.weights = dict(weights)
        self.decayed = decayed
        self.slots = {
            f"{name}/{slot}": tf.Variable(tf.zeros(w.shape, w.dtype), trainable=False)
            for name, w in weights.items()
            for slot in spec.slots()
        }

    def slot_scales(self) -> dict[str, float]:
        """Factors that slots carry beyond their description, by slot; 1 where not named."""
        return {}

    def scalars(self, t: int, rate: float) -> tuple[float, ...]:
        """What update number ``t`` (from 1) at learning rate ``rate`` needs: always as many numbers."""
        return (rate,)

    def apply(self, gradients: Sequence[tf.Tensor], scalars: Sequence[tf.Tensor]) -> None:
        """Add one update to the graph; gradients in the order of the weights, scalars of their dtype."""
        for (name, w), g in zip(self.weights.items(), gradients, strict=True):
            decay = self.spec.weight_decay if name in self.decayed else 0.0
            slots = {slot: self.slots[f"{name}/{slot}"] for slot in self.spec.slots()}
            self._update(w, g, slots, scalars, decay)

    def _update(
        self, w: tf.Variable, g: tf.Tensor, slots: dict[str, tf.Variable], scalars: Sequence[tf.Tensor], decay: float
    ) -> None:
        raise NotImplementedError


def lower_optimizer(spec: optimizers.Optimizer, weights: Mapping[str, tf.Variable], decayed: frozenset[str]) -> Rule:
    """The update rule of an optimizer."""
    return lowering(type(spec))(spec, weights, decayed)


@lowers(optimizers.SGD)
class SGD(Rule):
    """Scalars: (rate,). ResourceApplyMomentum leaves the rate out of its buffer, unlike Keras' variant of it."""

    def _update(
        self, w: tf.Variable, g: tf.Tensor, slots: dict[str, tf.Variable], scalars: Sequence[tf.Tensor], decay: float
    ) -> None:
        (rate,) = scalars
        g = g + decay * w if decay else g
        if not self.spec.momentum:
            tf.raw_ops.ResourceApplyGradientDescent(var=w.handle, alpha=rate, delta=g, use_locking=True)
            return
        tf.raw_ops.ResourceApplyMomentum(
            var=w.handle,
            accum=slots["momentum_buffer"].handle,
            lr=rate,
            grad=g,
            momentum=tf.constant(self.spec.momentum, w.dtype),
            use_nesterov=self.spec.nesterov,
            use_locking=True,
        )


class _Adam(Rule):
    """Scalars: rate sqrt(1 - b2^t) / (1 - b1^t), e sqrt(1 - b2^t), 1 - rate d; the first two rescaled.

    The kernel computes w - lr m / (sqrt(v) + epsilon); with both of its own bias corrections
    switched off (beta powers 0) and these two scalars that is the formula of ``dlrun.optimizers``.

    It also works out 1 - b in the weights' own precision: in float32, 1 - 0.999 is 1.3e-5 off. Since
    m and v are linear in that number, they are constant multiples of the described ones; the scalars
    make up for it, and ``slot_scales`` says so in checkpoints.
    """

    def slot_scales(self) -> dict[str, float]:
        return self._scales

    @cached_property
    def _scales(self) -> dict[str, float]:
        dtype = next((np.dtype(w.dtype.name) for w in self.weights.values()), np.dtype("float32")).type
        gains = [float(dtype(1) - dtype(b)) / (1 - b) for b in self.spec.betas]
        return {slot: gain for slot, gain in zip(self.spec.slots(), gains, strict=True) if gain != 1}

    def scalars(self, t: int, rate: float) -> tuple[float, ...]:
        first, second = self.spec.betas
        scales = self._scales
        gain = math.sqrt(scales.get("exp_avg_sq", 1.0))
        root = math.sqrt(1 - second**t) * gain
        rescaled = rate * root / (1 - first**t) / scales.get("exp_avg", 1.0)
        return rescaled, self.spec.epsilon * root, 1 - rate * self.spec.weight_decay

    def _moments(
        self, w: tf.Variable, g: tf.Tensor, slots: dict[str, tf.Variable], rate: tf.Tensor, epsilon: tf.Tensor
    ) -> None:
        tf.raw_ops.ResourceApplyAdam(
            var=w.handle,
            m=slots["exp_avg"].handle,
            v=slots["exp_avg_sq"].handle,
            beta1_power=tf.constant(0, w.dtype),
            beta2_power=tf.constant(0, w.dtype),
            lr=rate,
            beta1=tf.constant(self.spec.betas[0], w.dtype),
            beta2=tf.constant(self.spec.betas[1], w.dtype),
            epsilon=epsilon,
            grad=g,
            use_locking=True,
            use_nesterov=False,
        )


@lowers(optimizers.Adam)
class Adam(_Adam):
    """Weight decay added to the gradient."""

    def _update(
        self, w: tf.Variable, g: tf.Tensor, slots: dict[str, tf.Variable], scalars: Sequence[tf.Tensor], decay: float
    ) -> None:
        rate, epsilon, _ = scalars
        self._moments(w, g + decay * w if decay else g, slots, rate, epsilon)


@lowers(optimizers.AdamW)
class AdamW(_Adam):
    """Weight decay taken from the weight."""

    def _update(
        self, w: tf.Variable, g: tf.Tensor, slots: dict[str, tf.Variable], scalars: Sequence[tf.Tensor], decay: float
    ) -> None:
        rate, epsilon, kept = scalars
        if decay:
            w.assign(w * kept)
        self._moments(w, g, slots, rate, epsilon)


@lowers(optimizers.RMSprop)
class RMSprop(Rule):
    """Scalars: (rate,)."""

    def _update(
        self, w: tf.Variable, g: tf.Tensor, slots: dict[str, tf.Variable], scalars: Sequence[tf.Tensor], decay: float
    ) -> None:
        spec, (rate,) = self.spec, scalars
        a = spec.alpha
        g = g + decay * w if decay else g
        q = slots["square_avg"].assign(a * slots["square_avg"] + (1 - a) * g * g)
        if spec.centered:
            c = slots["grad_avg"].assign(a * slots["grad_avg"] + (1 - a) * g)
            q = q - c * c
        step = g / (tf.sqrt(q) + spec.epsilon)
        if spec.momentum:
            step = slots["momentum_buffer"].assign(spec.momentum * slots["momentum_buffer"] + step)
        w.assign_sub(rate * step)
