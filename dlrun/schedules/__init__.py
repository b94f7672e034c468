"""Learning-rate schedules: closed forms in float64 on the host, one value per update.

``factor(t)`` multiplies the optimizer's learning rate for the update after ``t`` completed ones.
All share a linear warm-up: for t < W the factor is multiplied by (t + 1) / W.
"""

from dlrun.schedules.base import Schedule, schedules
from dlrun.schedules.falls import Constant, Exponential, InverseSqrt, MultiStep, ReduceOnPlateau, Step
from dlrun.schedules.spans import Cosine, CosineRestarts, Linear, OneCycle, Polynomial

__all__ = [
    "Constant",
    "Cosine",
    "CosineRestarts",
    "Exponential",
    "InverseSqrt",
    "Linear",
    "MultiStep",
    "OneCycle",
    "Polynomial",
    "ReduceOnPlateau",
    "Schedule",
    "Step",
    "schedules",
]
