"""Optimizers that divide by a root of past squared gradients, without a mean of gradients."""

from __future__ import annotations

import numpy as np

from dlrun.optimizers.base import Fraction, NotNegative, Optimizer, Positive, Shape, Slots, optimizers


@optimizers("rmsprop")
class RMSprop(Optimizer):
    """RMSprop, with momentum and centring.

    g <- g + d w; q <- a q + (1 - a) g^2; c <- a c + (1 - a) g (centred only);
    u = g / (sqrt(q - c^2) + e); b <- m b + u; w <- w - r b, with r the learning rate, a the
    smoothing, m the momentum, e the epsilon and d the weight decay.

    Args:
        learning_rate: r.
        alpha: a, in [0, 1).
        epsilon: e, outside the root.
        momentum: m, in [0, 1).
        centered: Whether c is subtracted; otherwise it is 0.
        weight_decay: d, coupled.

    Shapes: any.
    Weights: slots ``square_avg``; ``momentum_buffer`` when m > 0; ``grad_avg`` when centred.
    Errors: none.
    Differs: Keras puts epsilon inside the root and folds the learning rate into the buffer.
    Source: Tieleman & Hinton 2012; Graves 2013 (centred).
    """

    learning_rate: Positive = 0.01
    alpha: Fraction = 0.99
    epsilon: NotNegative = 1e-8
    momentum: Fraction = 0.0
    centered: bool = False

    examples = ({"momentum": 0.9, "alpha": 0.9}, {"momentum": 0.5, "alpha": 0.9, "centered": True, "epsilon": 1e-4})

    def slots(self, shape: Shape) -> dict[str, Shape]:
        names = ("square_avg", *(("momentum_buffer",) if self.momentum else ()))
        return dict.fromkeys((*names, *(("grad_avg",) if self.centered else ())), shape)

    def update(self, w: np.ndarray, g: np.ndarray, slots: Slots, t: int, rate: float) -> np.ndarray:
        g = g + self.weight_decay * w
        q = slots["square_avg"] = self.alpha * slots["square_avg"] + (1 - self.alpha) * g * g
        if self.centered:
            c = slots["grad_avg"] = self.alpha * slots["grad_avg"] + (1 - self.alpha) * g
            q = q - c * c
        step: np.ndarray = g / (np.sqrt(q) + self.epsilon)
        if self.momentum:
            step = slots["momentum_buffer"] = self.momentum * slots["momentum_buffer"] + step
        return w - rate * step


@optimizers("adagrad")
class Adagrad(Optimizer):
    """Divides by the root of the sum of all squared gradients.

    g <- g + d w; q <- q + g^2; w <- w - r / (1 + (t - 1) k) g / (sqrt(q) + e), with r the learning rate, t the number
    of the update, k the rate's decay, e the epsilon and d the weight decay; q starts at q0.

    Args:
        learning_rate: r.
        learning_rate_decay: k.
        initial_sum: q0.
        epsilon: e, outside the root.
        weight_decay: d, coupled.

    Shapes: any.
    Weights: slot ``sum`` (q).
    Errors: none.
    Differs: Keras starts q at 0.1 and puts epsilon (1e-7) inside the root.
    Source: Duchi et al. 2011.
    """

    learning_rate: Positive = 0.01
    learning_rate_decay: NotNegative = 0.0
    initial_sum: NotNegative = 0.0
    epsilon: NotNegative = 1e-10

    examples = ({"learning_rate_decay": 0.1, "initial_sum": 0.1},)

    def slots(self, shape: Shape) -> dict[str, Shape]:
        return {"sum": shape}

    def start(self, slot: str) -> float:
        return self.initial_sum

    def update(self, w: np.ndarray, g: np.ndarray, slots: Slots, t: int, rate: float) -> np.ndarray:
        g = g + self.weight_decay * w
        q = slots["sum"] = slots["sum"] + g * g
        after: np.ndarray = w - rate / (1 + (t - 1) * self.learning_rate_decay) * g / (np.sqrt(q) + self.epsilon)
        return after


@optimizers("adadelta")
class Adadelta(Optimizer):
    """Steps sized like recent steps: no unit of the gradient is left in them.

    g <- g + d w; q <- a q + (1 - a) g^2; u = g sqrt(s + e) / sqrt(q + e); s <- a s + (1 - a) u^2; w <- w - r u, with
    r the learning rate, a the smoothing, e the epsilon and d the weight decay.

    Args:
        learning_rate: r; 1 is the method as published.
        rho: a, in [0, 1).
        epsilon: e, inside both roots; above 0, or nothing ever moves.
        weight_decay: d, coupled.

    Shapes: any.
    Weights: slots ``square_avg`` (q) and ``acc_delta`` (s).
    Errors: none.
    Differs: Keras' defaults are rate 1e-3, smoothing 0.95 and epsilon 1e-7.
    Source: Zeiler 2012.
    """

    learning_rate: Positive = 1.0
    rho: Fraction = 0.9
    epsilon: Positive = 1e-6

    examples = ({"rho": 0.95, "epsilon": 1e-4},)

    def slots(self, shape: Shape) -> dict[str, Shape]:
        return {"square_avg": shape, "acc_delta": shape}

    def update(self, w: np.ndarray, g: np.ndarray, slots: Slots, t: int, rate: float) -> np.ndarray:
        g = g + self.weight_decay * w
        q = slots["square_avg"] = self.rho * slots["square_avg"] + (1 - self.rho) * g * g
        u = g * np.sqrt(slots["acc_delta"] + self.epsilon) / np.sqrt(q + self.epsilon)
        slots["acc_delta"] = self.rho * slots["acc_delta"] + (1 - self.rho) * u * u
        after: np.ndarray = w - rate * u
        return after
