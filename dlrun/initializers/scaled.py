"""Initializers whose spread follows the number of inputs and outputs (fans) of the layer."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Gt

from dlrun.initializers.base import Fans, Initializer, Shape, initializers
from dlrun.initializers.plain import within

TRUNCATED_STD = 0.87962566103423978
"""Standard deviation of a unit normal cut at two standard deviations."""

Mode = Literal["fan_in", "fan_out", "fan_avg"]
Distribution = Literal["uniform", "normal", "truncated_normal"]


def scaled(
    g: np.random.Generator, shape: Shape, fans: Fans, scale: float, mode: Mode, distribution: Distribution
) -> np.ndarray:
    """Values of mean 0 and variance ``scale / fan``."""
    fan = {"fan_in": fans[0], "fan_out": fans[1], "fan_avg": (fans[0] + fans[1]) / 2}[mode]
    if distribution == "uniform":
        bound = math.sqrt(3 * scale / fan)
        return g.uniform(-bound, bound, shape)
    if distribution == "normal":
        return g.standard_normal(shape) * math.sqrt(scale / fan)
    return within(g, shape) * (math.sqrt(scale / fan) / TRUNCATED_STD)


class _Scaled(Initializer):
    _scale: ClassVar[float]
    _mode: ClassVar[Mode]
    _distribution: ClassVar[Distribution]

    def draw(self, g: np.random.Generator, shape: Shape, fans: Fans) -> np.ndarray:
        return scaled(g, shape, fans, self._scale, self._mode, self._distribution)


@initializers("glorot_uniform")
class GlorotUniform(_Scaled):
    """Uniform, for layers whose outputs should vary like their inputs and gradients alike.

    w ~ U(-a, a), a = sqrt(6 / (i + o)), with i the fan in and o the fan out.

    Args: none.

    Shapes: any.
    Weights: none.
    Errors: none.
    Differs: torch's xavier_uniform_ counts a packed kernel (q, k and v in one) as one.
    Source: Glorot & Bengio 2010.
    """

    _scale, _mode, _distribution = 1.0, "fan_avg", "uniform"


@initializers("glorot_normal")
class GlorotNormal(_Scaled):
    """Normal cut at two deviations, spread as ``glorot_uniform``.

    w ~ N(0, s^2) cut and rescaled to s = sqrt(2 / (i + o)), with i the fan in and o the fan out.

    Args: none.

    Shapes: any.
    Weights: none.
    Errors: none.
    Differs: torch does not cut; that is ``variance_scaling`` with ``distribution: normal``.
    Source: Glorot & Bengio 2010.
    """

    _scale, _mode, _distribution = 1.0, "fan_avg", "truncated_normal"


@initializers("he_uniform")
class HeUniform(_Scaled):
    """Uniform, for layers followed by a rectifier.

    w ~ U(-a, a), a = sqrt(6 / i), with i the fan in.

    Args: none.

    Shapes: any.
    Weights: none.
    Errors: none.
    Differs: nothing.
    Source: He et al. 2015.
    """

    _scale, _mode, _distribution = 2.0, "fan_in", "uniform"


@initializers("he_normal")
class HeNormal(_Scaled):
    """Normal cut at two deviations, for layers followed by a rectifier.

    w ~ N(0, s^2) cut and rescaled to s = sqrt(2 / i), with i the fan in.

    Args: none.

    Shapes: any.
    Weights: none.
    Errors: none.
    Differs: torch's kaiming_normal_ does not cut; that is ``variance_scaling`` with ``distribution: normal``.
    Source: He et al. 2015.
    """

    _scale, _mode, _distribution = 2.0, "fan_in", "truncated_normal"


@initializers("lecun_uniform")
class LecunUniform(_Scaled):
    """Uniform, for layers whose outputs should vary like their inputs.

    w ~ U(-a, a), a = sqrt(3 / i), with i the fan in.

    Args: none.

    Shapes: any.
    Weights: none.
    Errors: none.
    Differs: nothing.
    Source: LeCun et al. 1998.
    """

    _scale, _mode, _distribution = 1.0, "fan_in", "uniform"


@initializers("lecun_normal")
class LecunNormal(_Scaled):
    """Normal cut at two deviations, for layers whose outputs should vary like their inputs.

    w ~ N(0, s^2) cut and rescaled to s = sqrt(1 / i), with i the fan in.

    Args: none.

    Shapes: any.
    Weights: none.
    Errors: none.
    Differs: torch has none.
    Source: LeCun et al. 1998.
    """

    _scale, _mode, _distribution = 1.0, "fan_in", "truncated_normal"


@initializers("variance_scaling")
class VarianceScaling(Initializer):
    """A distribution of mean 0 whose variance is a share of one over the fan.

    w of variance k / n, with k the scale and n the fan: i inputs, o outputs or (i + o) / 2.

    Args:
        scale: k; 2 before a rectifier, the square of what torch calls gain.
        mode: Which fan n is.
        distribution: ``uniform``; ``normal``; or ``truncated_normal``, cut at two deviations and rescaled.

    Shapes: any.
    Weights: none.
    Errors: none.
    Differs: torch's kaiming_normal_ with mode fan_out is ``scale: 2``, ``mode: fan_out``, ``distribution: normal``.
    Source: He et al. 2015.
    """

    scale: Annotated[float, Gt(0)] = 1.0
    mode: Mode = "fan_in"
    distribution: Distribution = "truncated_normal"

    def draw(self, g: np.random.Generator, shape: Shape, fans: Fans) -> np.ndarray:
        return scaled(g, shape, fans, self.scale, self.mode, self.distribution)


@initializers("torch_default")
class TorchDefault(Initializer):
    """How torch starts kernels and biases of dense layers and convolutions.

    w ~ U(-a, a), a = 1 / sqrt(i), with i the fan in; for a bias that of its layer's kernel.

    Args: none.

    Shapes: any.
    Weights: none.
    Errors: none.
    Differs: Keras starts with ``glorot_uniform`` and zeros.
    Source: torch.nn.Linear.reset_parameters.
    """

    of_kernel: ClassVar[bool] = True

    def draw(self, g: np.random.Generator, shape: Shape, fans: Fans) -> np.ndarray:
        bound = 1 / math.sqrt(fans[0])
        return g.uniform(-bound, bound, shape)
