"""What each optimizer does, with its numpy reference. The formulas are those of torch.optim.

Order within a step: gradients, clipping, weight decay, update. Slots keep torch's names and the
canonical layout of their weight. ``t`` counts updates from 1; scalars are float64 on the host.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Gt, Lt

from dlrun.described import described
from dlrun.errors import DlrunError
from dlrun.registry import Registry

Slots = dict[str, np.ndarray]
Fraction = Annotated[float, Ge(0), Lt(1)]
NotNegative = Annotated[float, Ge(0)]


@described
class Optimizer:
    """An optimizer's description; registered with ``@optimizers("name")``."""

    kind: ClassVar[str] = ""
    learning_rate: Annotated[float, Gt(0)]
    weight_decay: NotNegative = 0.0

    def slots(self) -> tuple[str, ...]:
        """Names of the arrays kept beside each weight, zero at the start."""
        return ()

    def update(self, w: np.ndarray, g: np.ndarray, slots: Slots, t: int, rate: float) -> np.ndarray:
        """The weight after update ``t`` at learning rate ``rate``; changes ``slots``: the reference."""
        raise NotImplementedError


optimizers: Registry[Optimizer] = Registry("optimizer")


@optimizers("sgd")
class SGD(Optimizer):
    """Stochastic gradient descent with momentum.

    g <- g + d w; b <- m b + g; w <- w - r (g + m b if nesterov else b), with r the learning rate,
    m the momentum and d the weight decay (L2, coupled).

    Args:
        learning_rate: r.
        momentum: m, in [0, 1).
        nesterov: Whether the step looks ahead; needs momentum.
        weight_decay: d.

    Shapes: any.
    Weights: slot ``momentum_buffer`` when m > 0.
    Errors: nesterov-without-momentum.
    Differs: Keras folds the learning rate into the buffer, which differs once the rate changes, and its weight
        decay is decoupled.
    Source: Sutskever et al. 2013.
    """

    learning_rate: Annotated[float, Gt(0)] = 0.01
    momentum: Fraction = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        if self.nesterov and self.momentum == 0:
            raise DlrunError(
                "nesterov-without-momentum",
                "`nesterov: true` needs `momentum` above 0.",
                path=("nesterov",),
                hint="Set `momentum: 0.9`, or leave `nesterov` out.",
            )

    def slots(self) -> tuple[str, ...]:
        return ("momentum_buffer",) if self.momentum else ()

    def update(self, w: np.ndarray, g: np.ndarray, slots: Slots, t: int, rate: float) -> np.ndarray:
        g = g + self.weight_decay * w
        if self.momentum:
            b = slots["momentum_buffer"] = self.momentum * slots["momentum_buffer"] + g
            g = g + self.momentum * b if self.nesterov else b
        return w - rate * g


class _Adam(Optimizer):
    betas: tuple[Fraction, Fraction]
    epsilon: NotNegative

    def slots(self) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def _moments(self, w: np.ndarray, g: np.ndarray, slots: Slots, t: int, rate: float) -> np.ndarray:
        first, second = self.betas
        m = slots["exp_avg"] = first * slots["exp_avg"] + (1 - first) * g
        v = slots["exp_avg_sq"] = second * slots["exp_avg_sq"] + (1 - second) * g * g
        step: np.ndarray = m / (np.sqrt(v) / np.sqrt(1 - second**t) + self.epsilon)
        return w - rate / (1 - first**t) * step


@optimizers("adam")
class Adam(_Adam):
    """Adam, with L2 weight decay added to the gradient.

    g <- g + d w; m <- b1 m + (1 - b1) g; v <- b2 v + (1 - b2) g^2;
    w <- w - r (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + e), with r the learning rate, t the
    number of the update, e the epsilon and d the weight decay.

    Args:
        learning_rate: r.
        betas: (b1, b2), each in [0, 1).
        epsilon: e.
        weight_decay: d, coupled; see ``adamw`` for decoupled decay.

    Shapes: any.
    Weights: slots ``exp_avg`` (m) and ``exp_avg_sq`` (v).
    Errors: none.
    Differs: Keras adds epsilon before the bias correction (default 1e-7) and corrects in float32.
    Source: Kingma & Ba 2014.
    """

    learning_rate: Annotated[float, Gt(0)] = 1e-3
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    epsilon: NotNegative = 1e-8

    def update(self, w: np.ndarray, g: np.ndarray, slots: Slots, t: int, rate: float) -> np.ndarray:
        return self._moments(w, g + self.weight_decay * w, slots, t, rate)


@optimizers("adamw")
class AdamW(_Adam):
    """Adam with decoupled weight decay.

    w <- w (1 - r d), then Adam's update without decay, with r the learning rate and d the weight
    decay.

    Args:
        learning_rate: r.
        betas: (b1, b2), each in [0, 1).
        epsilon: e, as in ``adam``.
        weight_decay: d, decoupled.

    Shapes: any.
    Weights: slots ``exp_avg`` and ``exp_avg_sq``.
    Errors: none.
    Differs: Keras' default decay is 0.004; its epsilon is placed as in its Adam.
    Source: Loshchilov & Hutter 2017.
    """

    learning_rate: Annotated[float, Gt(0)] = 1e-3
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    epsilon: NotNegative = 1e-8
    weight_decay: NotNegative = 0.01

    def update(self, w: np.ndarray, g: np.ndarray, slots: Slots, t: int, rate: float) -> np.ndarray:
        return self._moments(w * (1 - rate * self.weight_decay), g, slots, t, rate)


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

    learning_rate: Annotated[float, Gt(0)] = 0.01
    alpha: Fraction = 0.99
    epsilon: NotNegative = 1e-8
    momentum: Fraction = 0.0
    centered: bool = False

    def slots(self) -> tuple[str, ...]:
        return (
            ("square_avg",) + (("momentum_buffer",) if self.momentum else ()) + (("grad_avg",) if self.centered else ())
        )

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
