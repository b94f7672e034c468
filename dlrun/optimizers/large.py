"""Optimizers for large batches and large models: steps of a known size, or little state."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge

from dlrun.optimizers.base import Fraction, NotNegative, Optimizer, Positive, Shape, Slots, optimizers


@optimizers("lion")
class Lion(Optimizer):
    """The sign of a mean of gradients: every element moves by the learning rate.

    w <- w (1 - r d); w <- w - r sign(b1 m + (1 - b1) g); m <- b2 m + (1 - b2) g, with r the learning rate and d the
    weight decay.

    Args:
        learning_rate: r; three to ten times smaller than Adam's.
        betas: (b1, b2), each in [0, 1).
        weight_decay: d, decoupled; three to ten times larger than AdamW's.

    Shapes: any.
    Weights: slot ``exp_avg`` (m).
    Errors: none.
    Differs: torch has none.
    Source: Chen et al. 2023.
    """

    learning_rate: Positive = 1e-4
    betas: tuple[Fraction, Fraction] = (0.9, 0.99)

    examples = ({"betas": (0.95, 0.98), "weight_decay": 0.5},)

    def slots(self, shape: Shape) -> dict[str, Shape]:
        return {"exp_avg": shape}

    def update(self, w: np.ndarray, g: np.ndarray, slots: Slots, t: int, rate: float) -> np.ndarray:
        first, second = self.betas
        m = slots["exp_avg"]
        w = w * (1 - rate * self.weight_decay) - rate * np.sign(first * m + (1 - first) * g)
        slots["exp_avg"] = second * m + (1 - second) * g
        return w


@optimizers("lamb")
class LAMB(Optimizer):
    """Adam whose step on each weight is as long as the weight.

    m and v as in ``adam``; u = (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + e) + d w; w <- w - r u |w| / |u|, or without
    the quotient where |w| or |u| is 0; |.| is the root of the sum of squares of one weight, r the learning rate, t
    the number of the update, e the epsilon and d the weight decay.

    Args:
        learning_rate: r.
        betas: (b1, b2), each in [0, 1).
        epsilon: e.
        weight_decay: d, within the quotient.

    Shapes: any; each weight of the model counts as one.
    Weights: slots ``exp_avg`` (m) and ``exp_avg_sq`` (v).
    Errors: none.
    Differs: torch has none; Keras leaves weight decay out of the quotient.
    Source: You et al. 2019, version 3 onwards.
    """

    learning_rate: Positive = 1e-3
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    epsilon: NotNegative = 1e-6

    examples = ({"betas": (0.8, 0.9), "epsilon": 1e-3},)

    def slots(self, shape: Shape) -> dict[str, Shape]:
        return {"exp_avg": shape, "exp_avg_sq": shape}

    def update(self, w: np.ndarray, g: np.ndarray, slots: Slots, t: int, rate: float) -> np.ndarray:
        first, second = self.betas
        m = slots["exp_avg"] = first * slots["exp_avg"] + (1 - first) * g
        v = slots["exp_avg_sq"] = second * slots["exp_avg_sq"] + (1 - second) * g * g
        u = m / (1 - first**t) / (np.sqrt(v / (1 - second**t)) + self.epsilon) + self.weight_decay * w
        of_w, of_u = np.sqrt(np.sum(w * w)), np.sqrt(np.sum(u * u))
        trust = of_w / of_u if of_w > 0 and of_u > 0 else 1.0
        after: np.ndarray = w - rate * trust * u
        return after


@optimizers("adafactor")
class Adafactor(Optimizer):
    """Adam's mean square kept as one number per row and column, and steps in proportion to the weight.

    k = t^c; R <- R + k (mean of g^2 over the last axis - R), C the same over the last but one; V = R C / max(mean of R
    over the last but one, e); weights of fewer axes keep V itself. u = g / sqrt(max(V, e^2));
    w <- w (1 - r d); w <- w - a u / max(1, rms(u) / s), a = max(f, rms of the old w) min(r, 1 / sqrt(t)), with r the
    learning rate, t the number of the update, c the decay's exponent, e the epsilon, f the floor, s the clipping
    and d the weight decay.

    Args:
        learning_rate: r, as a share of the weight's size.
        decay_exponent: c, below 0.
        epsilon: e; torch takes the machine's, which is this one for float32.
        floor: f, the least size that a weight counts with.
        clipping: s, the largest root mean square of a step, at least 1.
        weight_decay: d, decoupled.

    Shapes: any; rows and columns are the canonical last two axes.
    Weights: slots ``row_var`` and ``col_var``, or ``variance`` for fewer than two axes.
    Errors: none.
    Differs: torch factors a convolution over its window, its own last two axes; Keras takes the size after decay.
    Source: Shazeer & Stern 2018; torch.optim.Adafactor.
    """

    learning_rate: Positive = 0.01
    decay_exponent: float = -0.8
    epsilon: Positive = 1.1920928955078125e-07
    floor: NotNegative = 1e-3
    clipping: Annotated[float, Ge(1)] = 1.0

    examples = ({"clipping": 1.5, "decay_exponent": -0.5}, {"floor": 0.5})

    def slots(self, shape: Shape) -> dict[str, Shape]:
        if len(shape) < 2:
            return {"variance": shape}
        return {"row_var": (*shape[:-1], 1), "col_var": (*shape[:-2], 1, shape[-1])}

    def factors(self, t: int, rate: float) -> tuple[float, float]:
        """k and min(r, 1 / sqrt(t))."""
        return float(t**self.decay_exponent), min(rate, t**-0.5)

    def update(self, w: np.ndarray, g: np.ndarray, slots: Slots, t: int, rate: float) -> np.ndarray:
        share, most = self.factors(t, rate)
        size = max(self.floor, float(np.sqrt(np.mean(w * w))))
        w = w * (1 - rate * self.weight_decay)
        if w.ndim < 2:
            v = slots["variance"] = slots["variance"] + share * (g * g - slots["variance"])
        else:
            square = g * g
            r = slots["row_var"] = slots["row_var"] + share * (square.mean(-1, keepdims=True) - slots["row_var"])
            c = slots["col_var"] = slots["col_var"] + share * (square.mean(-2, keepdims=True) - slots["col_var"])
            v = r * c / np.maximum(r.mean(-2, keepdims=True), self.epsilon)
        u = g / np.sqrt(np.maximum(v, self.epsilon**2))
        longest = max(1.0, float(np.sqrt(np.mean(u * u))) / self.clipping)
        after: np.ndarray = w - size * most / longest * u
        return after
