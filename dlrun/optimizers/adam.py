"""Adam and its kin: a mean of gradients over a root of their mean square."""

from __future__ import annotations

import functools
import math

import numpy as np

from dlrun.optimizers.base import Fraction, NotNegative, Optimizer, Positive, Shape, Slots, optimizers


class _Moments(Optimizer):
    betas: tuple[Fraction, Fraction]

    def slots(self, shape: Shape) -> dict[str, Shape]:
        return {"exp_avg": shape, "exp_avg_sq": shape}

    def _moments(self, g: np.ndarray, slots: Slots) -> tuple[np.ndarray, np.ndarray]:
        first, second = self.betas
        m = slots["exp_avg"] = first * slots["exp_avg"] + (1 - first) * g
        v = slots["exp_avg_sq"] = second * slots["exp_avg_sq"] + (1 - second) * g * g
        return m, v


class _Adam(_Moments):
    epsilon: NotNegative
    amsgrad: bool

    def slots(self, shape: Shape) -> dict[str, Shape]:
        return super().slots(shape) | ({"max_exp_avg_sq": shape} if self.amsgrad else {})

    def _adam(self, w: np.ndarray, g: np.ndarray, slots: Slots, t: int, rate: float) -> np.ndarray:
        m, v = self._moments(g, slots)
        first, second = self.betas
        if self.amsgrad:
            v = slots["max_exp_avg_sq"] = np.maximum(slots["max_exp_avg_sq"], v)
        step: np.ndarray = m / (np.sqrt(v) / np.sqrt(1 - second**t) + self.epsilon)
        return w - rate / (1 - first**t) * step


@optimizers("adam")
class Adam(_Adam):
    """Adam, with L2 weight decay added to the gradient.

    g <- g + d w; m <- b1 m + (1 - b1) g; v <- b2 v + (1 - b2) g^2;
    w <- w - r (m / (1 - b1^t)) / (sqrt(u / (1 - b2^t)) + e), with r the learning rate, t the
    number of the update, e the epsilon, d the weight decay and u = v, or the largest v so far (amsgrad).

    Args:
        learning_rate: r.
        betas: (b1, b2), each in [0, 1).
        epsilon: e.
        amsgrad: Whether u never falls.
        weight_decay: d, coupled; see ``adamw`` for decoupled decay.

    Shapes: any.
    Weights: slots ``exp_avg`` (m) and ``exp_avg_sq`` (v); ``max_exp_avg_sq`` with amsgrad.
    Errors: none.
    Differs: Keras adds epsilon before the bias correction (default 1e-7) and corrects in float32.
    Source: Kingma & Ba 2014; Reddi et al. 2018 (amsgrad).
    """

    learning_rate: Positive = 1e-3
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    epsilon: NotNegative = 1e-8
    amsgrad: bool = False

    examples = ({"epsilon": 1e-3, "betas": (0.8, 0.95)}, {"betas": (0.0, 0.9)}, {"amsgrad": True, "betas": (0.9, 0.95)})

    def update(self, w: np.ndarray, g: np.ndarray, slots: Slots, t: int, rate: float) -> np.ndarray:
        return self._adam(w, g + self.weight_decay * w, slots, t, rate)


@optimizers("adamw")
class AdamW(_Adam):
    """Adam with decoupled weight decay.

    w <- w (1 - r d), then Adam's update without decay, with r the learning rate and d the weight
    decay.

    Args:
        learning_rate: r.
        betas: (b1, b2), each in [0, 1).
        epsilon: e, as in ``adam``.
        amsgrad: As in ``adam``.
        weight_decay: d, decoupled.

    Shapes: any.
    Weights: slots ``exp_avg`` and ``exp_avg_sq``; ``max_exp_avg_sq`` with amsgrad.
    Errors: none.
    Differs: Keras' default decay is 0.004; its epsilon is placed as in its Adam.
    Source: Loshchilov & Hutter 2017.
    """

    learning_rate: Positive = 1e-3
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    epsilon: NotNegative = 1e-8
    amsgrad: bool = False
    weight_decay: NotNegative = 0.01

    examples = ({"epsilon": 1e-3, "betas": (0.8, 0.95)}, {"amsgrad": True})

    def update(self, w: np.ndarray, g: np.ndarray, slots: Slots, t: int, rate: float) -> np.ndarray:
        return self._adam(w * (1 - rate * self.weight_decay), g, slots, t, rate)


@optimizers("adamax")
class Adamax(Optimizer):
    """Adam with the largest recent gradient in place of the root mean square.

    g <- g + d w; m <- b1 m + (1 - b1) g; u <- max(b2 u, |g| + e); w <- w - r / (1 - b1^t) m / u, with r the
    learning rate, t the number of the update, e the epsilon and d the weight decay.

    Args:
        learning_rate: r.
        betas: (b1, b2), each in [0, 1).
        epsilon: e; above 0, so that u is.
        weight_decay: d, coupled.

    Shapes: any.
    Weights: slots ``exp_avg`` (m) and ``exp_inf`` (u).
    Errors: none.
    Differs: Keras adds epsilon to u in the quotient instead of to |g|.
    Source: Kingma & Ba 2014, section 7.1.
    """

    learning_rate: Positive = 2e-3
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    epsilon: Positive = 1e-8

    examples = ({"betas": (0.5, 0.9), "epsilon": 1e-4},)

    def slots(self, shape: Shape) -> dict[str, Shape]:
        return {"exp_avg": shape, "exp_inf": shape}

    def update(self, w: np.ndarray, g: np.ndarray, slots: Slots, t: int, rate: float) -> np.ndarray:
        g = g + self.weight_decay * w
        first, second = self.betas
        m = slots["exp_avg"] = first * slots["exp_avg"] + (1 - first) * g
        u = slots["exp_inf"] = np.maximum(second * slots["exp_inf"], np.abs(g) + self.epsilon)
        after: np.ndarray = w - rate / (1 - first**t) * m / u
        return after


@optimizers("nadam")
class NAdam(_Moments):
    """Adam with Nesterov momentum, whose momentum rises during the run.

    g <- g + d w; m and v as in ``adam``; k_t = b1 (1 - 0.96^(t c) / 2), K_t = k_1 k_2 ... k_t;
    w <- w - r (g (1 - k_t) / (1 - K_t) + m k_(t+1) / (1 - K_(t+1))) / (sqrt(v / (1 - b2^t)) + e), with r the
    learning rate, t the number of the update, c the momentum decay, e the epsilon and d the weight decay.

    Args:
        learning_rate: r.
        betas: (b1, b2), each in [0, 1).
        epsilon: e.
        momentum_decay: c.
        decoupled: Whether weight decay is taken from the weight, as in ``adamw``, instead of added to g.
        weight_decay: d.

    Shapes: any.
    Weights: slots ``exp_avg`` (m) and ``exp_avg_sq`` (v); K is computed from t.
    Errors: none.
    Differs: torch keeps K in float32; Keras has c = 1.
    Source: Dozat 2016.
    """

    learning_rate: Positive = 2e-3
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    epsilon: NotNegative = 1e-8
    momentum_decay: NotNegative = 4e-3
    decoupled: bool = False

    examples = ({"momentum_decay": 1.0, "epsilon": 1e-4}, {"decoupled": True, "weight_decay": 0.1})

    def factors(self, t: int) -> tuple[float, float]:
        """What g and m are multiplied by at update ``t``, beside the learning rate."""
        now, after = (nadam_momentum(self.betas[0], self.momentum_decay, i) for i in (t, t + 1))
        product = nadam_product(self.betas[0], self.momentum_decay, t)
        return (1 - now) / (1 - product), after / (1 - product * after)

    def update(self, w: np.ndarray, g: np.ndarray, slots: Slots, t: int, rate: float) -> np.ndarray:
        if self.decoupled:
            w = w * (1 - rate * self.weight_decay)
        else:
            g = g + self.weight_decay * w
        m, v = self._moments(g, slots)
        root = np.sqrt(v / (1 - self.betas[1] ** t)) + self.epsilon
        of_g, of_m = self.factors(t)
        return w - rate * (of_g * g + of_m * m) / root


def nadam_momentum(beta: float, decay: float, t: int) -> float:
    """k_t of NAdam."""
    return float(beta * (1 - 0.5 * 0.96 ** (t * decay)))


def nadam_product(beta: float, decay: float, t: int) -> float:
    """K_t of NAdam: the product of the momenta of updates 1 to ``t``."""
    known = _products(beta, decay)
    while len(known) <= t and known[-1] > 0:
        known.append(known[-1] * nadam_momentum(beta, decay, len(known)))
    return known[t] if t < len(known) else 0.0


@functools.lru_cache(maxsize=8)
def _products(beta: float, decay: float) -> list[float]:
    return [1.0]


@optimizers("radam")
class RAdam(_Moments):
    """Adam that divides by the root only once its variance is known well enough.

    g <- g + d w; m and v as in ``adam``, M = m / (1 - b1^t); n = 2 / (1 - b2) - 1, p = n - 2 t b2^t / (1 - b2^t);
    for p > 5: w <- w - r M q sqrt(1 - b2^t) / (sqrt(v) + e), q^2 = (p - 4)(p - 2) n / ((n - 4)(n - 2) p);
    else w <- w - r M, with r the learning rate, t the number of the update, e the epsilon and d the weight decay.

    Args:
        learning_rate: r.
        betas: (b1, b2), each in [0, 1).
        epsilon: e; above 0.
        decoupled: Whether weight decay is taken from the weight, as in ``adamw``, instead of added to g.
        weight_decay: d.

    Shapes: any.
    Weights: slots ``exp_avg`` (m) and ``exp_avg_sq`` (v).
    Errors: none.
    Differs: Keras has none.
    Source: Liu et al. 2019.
    """

    learning_rate: Positive = 1e-3
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    epsilon: Positive = 1e-8
    decoupled: bool = False

    examples = ({"betas": (0.9, 0.9)}, {"decoupled": True, "weight_decay": 0.1})

    def factors(self, t: int) -> tuple[float, float]:
        """What m / (sqrt(v) + e) and m are multiplied by at update ``t``, beside the learning rate; one is 0."""
        first, second = self.betas
        left = 1 - second**t
        n = 2 / (1 - second) - 1
        p = n - 2 * t * second**t / left
        corrected = 1 / (1 - first**t)
        if p <= 5:
            return 0.0, corrected
        q = math.sqrt((p - 4) * (p - 2) * n / ((n - 4) * (n - 2) * p))
        return corrected * q * math.sqrt(left), 0.0

    def update(self, w: np.ndarray, g: np.ndarray, slots: Slots, t: int, rate: float) -> np.ndarray:
        if self.decoupled:
            w = w * (1 - rate * self.weight_decay)
        else:
            g = g + self.weight_decay * w
        m, v = self._moments(g, slots)
        divided, plain = self.factors(t)
        after: np.ndarray = w - rate * (divided * m / (np.sqrt(v) + self.epsilon) + plain * m)
        return after
