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
from dlrun.update import Update

Slots = dict[str, tf.Variable]
Scalars = Sequence[tf.Tensor]


class Rule:
    """An optimizer over variables.

    Args:
        spec: The description.
        weights: Trainable variables by canonical name.
        updates: Learning rate and weight decay of each, by canonical name.

    ``slots`` holds its variables as ``<weight>/<slot>``.
    """

    def __init__(
        self, spec: optimizers.Optimizer, weights: Mapping[str, tf.Variable], updates: Mapping[str, Update]
    ) -> None:
        self.spec = spec
        self.weights = dict(weights)
        self._settings = {name: (updates[name].multiplier, updates[name].decay) for name in weights}
        self._groups = list(dict.fromkeys(self._settings.values())) or [(1.0, spec.weight_decay)]
        self._slots_of = {
            name: {
                slot: self._new(spec.start(slot), shape, w.dtype) for slot, shape in spec.slots(tuple(w.shape)).items()
            }
            for name, w in weights.items()
        }
        self.slots = {f"{name}/{slot}": v for name, slots in self._slots_of.items() for slot, v in slots.items()}

    @staticmethod
    def _new(start: float, shape: tuple[int, ...], dtype: tf.DType) -> tf.Variable:
        return tf.Variable(tf.fill(shape, tf.constant(start, dtype)), trainable=False)

    def clear(self, slot: str) -> None:
        """Set one of ``slots`` to its start."""
        variable = self.slots[slot]
        variable.assign(tf.fill(variable.shape, tf.constant(self.spec.start(slot.rpartition("/")[2]), variable.dtype)))

    def slot_scales(self) -> dict[str, float]:
        """Factors that slots carry beyond their description, by slot; 1 where not named."""
        return {}

    def scalars(self, t: int, rate: float) -> tuple[float, ...]:
        """What update number ``t`` (from 1) at learning rate ``rate`` needs: always as many numbers.

        One row after another for the weights of each learning rate and weight decay.
        """
        return tuple(x for multiplier, decay in self._groups for x in self._scalars(t, rate * multiplier, decay))

    def apply(self, gradients: Mapping[str, tf.Tensor], scalars: Scalars) -> None:
        """Add one update to the graph: of the weights that have a gradient; scalars are of their dtype."""
        size = len(scalars) // len(self._groups)
        rows = {group: scalars[i * size : (i + 1) * size] for i, group in enumerate(self._groups)}
        for name, g in gradients.items():
            group = self._settings[name]
            self._update(self.weights[name], g, self._slots_of[name], rows[group], group[1])

    def _scalars(self, t: int, rate: float, decay: float) -> tuple[float, ...]:
        return (rate,)

    def _update(self, w: tf.Variable, g: tf.Tensor, slots: Slots, scalars: Scalars, decay: float) -> None:
        raise NotImplementedError


def lower_optimizer(
    spec: optimizers.Optimizer, weights: Mapping[str, tf.Variable], updates: Mapping[str, Update]
) -> Rule:
    """The update rule of an optimizer."""
    return lowering(type(spec))(spec, weights, updates)


def decayed(g: tf.Tensor, w: tf.Variable, decay: float) -> tf.Tensor:
    """The gradient with weight decay added to it."""
    return g + decay * w if decay else g


def mean(slot: tf.Variable, g: tf.Tensor, keep: float) -> tf.Tensor:
    """Move a slot towards ``g``: keep s + (1 - keep) g."""
    return slot.assign(keep * slot + (1 - keep) * g)


@lowers(optimizers.SGD)
class SGD(Rule):
    """Scalars: rate, 1 - dampening. ResourceApplyMomentum leaves the rate out of its buffer, unlike Keras' variant."""

    def _scalars(self, t: int, rate: float, decay: float) -> tuple[float, ...]:
        return rate, (1.0 if t == 1 else 1 - self.spec.dampening)

    def _update(self, w: tf.Variable, g: tf.Tensor, slots: Slots, scalars: Scalars, decay: float) -> None:
        rate, taken = scalars
        g = decayed(g, w, decay)
        if not self.spec.momentum:
            tf.raw_ops.ResourceApplyGradientDescent(var=w.handle, alpha=rate, delta=g, use_locking=True)
            return
        tf.raw_ops.ResourceApplyMomentum(
            var=w.handle,
            accum=slots["momentum_buffer"].handle,
            lr=rate,
            grad=taken * g if self.spec.dampening else g,
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
    make up for it, and ``slot_scales`` says so in checkpoints. With amsgrad, plain operations.
    """

    def slot_scales(self) -> dict[str, float]:
        return self._scales

    @cached_property
    def _scales(self) -> dict[str, float]:
        if self.spec.amsgrad:
            return {}
        dtype = next((np.dtype(w.dtype.name) for w in self.weights.values()), np.dtype("float32")).type
        gains = [float(dtype(1) - dtype(b)) / (1 - b) for b in self.spec.betas]
        return {slot: gain for slot, gain in zip(("exp_avg", "exp_avg_sq"), gains, strict=True) if gain != 1}

    def _scalars(self, t: int, rate: float, decay: float) -> tuple[float, ...]:
        first, second = self.spec.betas
        scales = self._scales
        gain = math.sqrt(scales.get("exp_avg_sq", 1.0))
        root = math.sqrt(1 - second**t) * gain
        rescaled = rate * root / (1 - first**t) / scales.get("exp_avg", 1.0)
        return rescaled, self.spec.epsilon * root, 1 - rate * decay

    def _moments(self, w: tf.Variable, g: tf.Tensor, slots: Slots, rate: tf.Tensor, epsilon: tf.Tensor) -> None:
        if self.spec.amsgrad:
            m = mean(slots["exp_avg"], g, self.spec.betas[0])
            v = mean(slots["exp_avg_sq"], g * g, self.spec.betas[1])
            v = slots["max_exp_avg_sq"].assign(tf.maximum(slots["max_exp_avg_sq"], v))
            w.assign_sub(rate * m / (tf.sqrt(v) + epsilon))
            return
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

    def _update(self, w: tf.Variable, g: tf.Tensor, slots: Slots, scalars: Scalars, decay: float) -> None:
        rate, epsilon, _ = scalars
        self._moments(w, decayed(g, w, decay), slots, rate, epsilon)


@lowers(optimizers.AdamW)
class AdamW(_Adam):
    """Weight decay taken from the weight."""

    def _update(self, w: tf.Variable, g: tf.Tensor, slots: Slots, scalars: Scalars, decay: float) -> None:
        rate, epsilon, kept = scalars
        if decay:
            w.assign(w * kept)
        self._moments(w, g, slots, rate, epsilon)


@lowers(optimizers.Adamax)
class Adamax(Rule):
    """Scalars: rate / (1 - b1^t)."""

    def _scalars(self, t: int, rate: float, decay: float) -> tuple[float, ...]:
        return (rate / (1 - self.spec.betas[0] ** t),)

    def _update(self, w: tf.Variable, g: tf.Tensor, slots: Slots, scalars: Scalars, decay: float) -> None:
        g = decayed(g, w, decay)
        m = mean(slots["exp_avg"], g, self.spec.betas[0])
        u = slots["exp_inf"].assign(tf.maximum(self.spec.betas[1] * slots["exp_inf"], tf.abs(g) + self.spec.epsilon))
        w.assign_sub(scalars[0] * m / u)


@lowers(optimizers.NAdam)
class NAdam(Rule):
    """Scalars: what g and m are multiplied by, 1 - b2^t, 1 - rate d."""

    def _scalars(self, t: int, rate: float, decay: float) -> tuple[float, ...]:
        of_g, of_m = self.spec.factors(t)
        return rate * of_g, rate * of_m, 1 - self.spec.betas[1] ** t, 1 - rate * decay

    def _update(self, w: tf.Variable, g: tf.Tensor, slots: Slots, scalars: Scalars, decay: float) -> None:
        of_g, of_m, corrected, kept = scalars
        if decay and self.spec.decoupled:
            w.assign(w * kept)
        elif decay:
            g = decayed(g, w, decay)
        m = mean(slots["exp_avg"], g, self.spec.betas[0])
        v = mean(slots["exp_avg_sq"], g * g, self.spec.betas[1])
        w.assign_sub((of_g * g + of_m * m) / (tf.sqrt(v / corrected) + self.spec.epsilon))


@lowers(optimizers.RAdam)
class RAdam(Rule):
    """Scalars: what m / (sqrt(v) + e) and m are multiplied by, 1 - rate d."""

    def _scalars(self, t: int, rate: float, decay: float) -> tuple[float, ...]:
        divided, plain = self.spec.factors(t)
        return rate * divided, rate * plain, 1 - rate * decay

    def _update(self, w: tf.Variable, g: tf.Tensor, slots: Slots, scalars: Scalars, decay: float) -> None:
        divided, plain, kept = scalars
        if decay and self.spec.decoupled:
            w.assign(w * kept)
        elif decay:
            g = decayed(g, w, decay)
        m = mean(slots["exp_avg"], g, self.spec.betas[0])
        v = mean(slots["exp_avg_sq"], g * g, self.spec.betas[1])
        w.assign_sub(m * (divided / (tf.sqrt(v) + self.spec.epsilon) + plain))


@lowers(optimizers.RMSprop)
class RMSprop(Rule):
    """Scalars: (rate,)."""

    def _update(self, w: tf.Variable, g: tf.Tensor, slots: Slots, scalars: Scalars, decay: float) -> None:
        spec, (rate,) = self.spec, scalars
        a = spec.alpha
        g = decayed(g, w, decay)
        q = slots["square_avg"].assign(a * slots["square_avg"] + (1 - a) * g * g)
        if spec.centered:
            c = slots["grad_avg"].assign(a * slots["grad_avg"] + (1 - a) * g)
            q = q - c * c
        step = g / (tf.sqrt(q) + spec.epsilon)
        if spec.momentum:
            step = slots["momentum_buffer"].assign(spec.momentum * slots["momentum_buffer"] + step)
        w.assign_sub(rate * step)


@lowers(optimizers.Adagrad)
class Adagrad(Rule):
    """Scalars: rate / (1 + (t - 1) k)."""

    def _scalars(self, t: int, rate: float, decay: float) -> tuple[float, ...]:
        return (rate / (1 + (t - 1) * self.spec.learning_rate_decay),)

    def _update(self, w: tf.Variable, g: tf.Tensor, slots: Slots, scalars: Scalars, decay: float) -> None:
        g = decayed(g, w, decay)
        q = slots["sum"].assign_add(g * g)
        w.assign_sub(scalars[0] * g / (tf.sqrt(q) + self.spec.epsilon))


@lowers(optimizers.Adadelta)
class Adadelta(Rule):
    """Scalars: (rate,)."""

    def _update(self, w: tf.Variable, g: tf.Tensor, slots: Slots, scalars: Scalars, decay: float) -> None:
        spec = self.spec
        g = decayed(g, w, decay)
        q = mean(slots["square_avg"], g * g, spec.rho)
        u = g * tf.sqrt(slots["acc_delta"] + spec.epsilon) / tf.sqrt(q + spec.epsilon)
        mean(slots["acc_delta"], u * u, spec.rho)
        w.assign_sub(scalars[0] * u)


@lowers(optimizers.Lion)
class Lion(Rule):
    """Scalars: rate, 1 - rate d."""

    def _scalars(self, t: int, rate: float, decay: float) -> tuple[float, ...]:
        return rate, 1 - rate * decay

    def _update(self, w: tf.Variable, g: tf.Tensor, slots: Slots, scalars: Scalars, decay: float) -> None:
        (rate, kept), (first, second), m = scalars, self.spec.betas, slots["exp_avg"]
        if decay:
            w.assign(w * kept)
        w.assign_sub(rate * tf.sign(first * m + (1 - first) * g))
        mean(m, g, second)


@lowers(optimizers.LAMB)
class LAMB(Rule):
    """Scalars: rate, 1 - b1^t, sqrt(1 - b2^t)."""

    def _scalars(self, t: int, rate: float, decay: float) -> tuple[float, ...]:
        first, second = self.spec.betas
        return rate, 1 - first**t, math.sqrt(1 - second**t)

    def _update(self, w: tf.Variable, g: tf.Tensor, slots: Slots, scalars: Scalars, decay: float) -> None:
        rate, of_m, of_root = scalars
        m = mean(slots["exp_avg"], g, self.spec.betas[0])
        v = mean(slots["exp_avg_sq"], g * g, self.spec.betas[1])
        u = m / ((tf.sqrt(v) / of_root + self.spec.epsilon) * of_m)
        u = u + decay * w if decay else u
        size, length = (tf.sqrt(tf.reduce_sum(x * x)) for x in (tf.convert_to_tensor(w), u))
        # w - trust r u; 0 / 0 is not chosen
        trust = tf.where((size > 0) & (length > 0), size / length, tf.ones_like(size))
        w.assign_sub(rate * trust * u)


@lowers(optimizers.Adafactor)
class Adafactor(Rule):
    """Scalars: k, min(rate, 1 / sqrt(t)), 1 - rate d."""

    def _scalars(self, t: int, rate: float, decay: float) -> tuple[float, ...]:
        return *self.spec.factors(t, rate), 1 - rate * decay

    def _update(self, w: tf.Variable, g: tf.Tensor, slots: Slots, scalars: Scalars, decay: float) -> None:
        spec, (share, most, kept) = self.spec, scalars
        size = tf.maximum(_rms(tf.convert_to_tensor(w)), spec.floor)
        if decay:
            w.assign(w * kept)
        square = g * g
        if len(w.shape) < 2:
            v = _towards(slots["variance"], square, share)
        else:
            rows = _towards(slots["row_var"], tf.reduce_mean(square, axis=-1, keepdims=True), share)
            columns = _towards(slots["col_var"], tf.reduce_mean(square, axis=-2, keepdims=True), share)
            v = rows * columns / tf.maximum(tf.reduce_mean(rows, axis=-2, keepdims=True), spec.epsilon)
        u = g / tf.sqrt(tf.maximum(v, spec.epsilon**2))
        longest = tf.maximum(_rms(u) / spec.clipping, 1)
        w.assign_sub(size * most / longest * u)


def _towards(slot: tf.Variable, value: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    return slot.assign_add(share * (value - slot))


def _rms(x: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(tf.reduce_mean(x * x))
