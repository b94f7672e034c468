"""Stochastic gradient descent."""

from __future__ import annotations

import numpy as np

from dlrun.errors import DlrunError
from dlrun.optimizers.base import Fraction, Optimizer, Positive, Shape, Slots, optimizers


@optimizers("sgd")
class SGD(Optimizer):
    """Stochastic gradient descent with momentum.

    g <- g + d w; b <- m b + (1 - p) g, in update number 1 b <- m b + g; w <- w - r (g + m b if nesterov else b), with r
    the learning rate, m the momentum, p the dampening and d the weight decay (L2, coupled).

    Args:
        learning_rate: r.
        momentum: m, in [0, 1).
        nesterov: Whether the step looks ahead; needs momentum and no dampening.
        dampening: p, in [0, 1).
        weight_decay: d.

    Shapes: any.
    Weights: slot ``momentum_buffer`` when m > 0.
    Errors: nesterov-without-momentum, nesterov-with-dampening.
    Differs: Keras folds the learning rate into the buffer, which differs once the rate changes, and its weight
        decay is decoupled.
    Source: Sutskever et al. 2013.
    """

    known_as = ("momentum", "nesterov")

    learning_rate: Positive = 0.01
    momentum: Fraction = 0.0
    nesterov: bool = False
    dampening: Fraction = 0.0

    examples = (
        {"momentum": 0.9},
        {"momentum": 0.8, "nesterov": True, "weight_decay": 0.05},
        {"momentum": 0.9, "dampening": 0.4, "weight_decay": 0.05},
    )

    def __post_init__(self) -> None:
        if self.nesterov and self.momentum == 0:
            raise DlrunError(
                "nesterov-without-momentum",
                "`nesterov: true` needs `momentum` above 0.",
                path=("nesterov",),
                hint="Set `momentum: 0.9`, or leave `nesterov` out.",
            )
        if self.nesterov and self.dampening:
            raise DlrunError(
                "nesterov-with-dampening",
                f"`nesterov: true` needs `dampening: 0`, got `{self.dampening}`.",
                path=("dampening",),
                hint="Leave `dampening` out.",
            )

    def slots(self, shape: Shape) -> dict[str, Shape]:
        return {"momentum_buffer": shape} if self.momentum else {}

    def update(self, w: np.ndarray, g: np.ndarray, slots: Slots, t: int, rate: float) -> np.ndarray:
        g = g + self.weight_decay * w
        if self.momentum:
            taken = 1.0 if t == 1 else 1 - self.dampening
            b = slots["momentum_buffer"] = self.momentum * slots["momentum_buffer"] + taken * g
            g = g + self.momentum * b if self.nesterov else b
        return w - rate * g
