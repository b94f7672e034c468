"""Initial weights, drawn in numpy so that both frameworks start from the same numbers.

Each weight has a random stream of its own, keyed by the seed and the weight's canonical name, is
drawn in float64 in canonical layout and cast once; the order of creation does not matter.
Fans follow the canonical kernel ``(k..., in, out)``: ``fan_in = in * prod(k)``, unless the weight says otherwise.
"""

from dlrun.initializers.base import (
    Fans,
    Initial,
    Initializer,
    check_initializer,
    fans,
    initialize,
    initializer_of,
    initializers,
)
from dlrun.initializers.plain import Constant, Identity, Normal, Ones, Orthogonal, TruncatedNormal, Uniform, Zeros
from dlrun.initializers.scaled import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    TorchDefault,
    VarianceScaling,
)

__all__ = [
    "Constant",
    "Fans",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "Initial",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Normal",
    "Ones",
    "Orthogonal",
    "TorchDefault",
    "TruncatedNormal",
    "Uniform",
    "VarianceScaling",
    "Zeros",
    "check_initializer",
    "fans",
    "initialize",
    "initializer_of",
    "initializers",
]
