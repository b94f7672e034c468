"""How published networks start their weights, beside Glorot's draws."""

from __future__ import annotations

from typing import Any

from dlrun.initializers import Initializer, initializers


def start(name: str, **fields: Any) -> Initializer:
    """An initializer by name and fields, as a recipe would write it."""
    return initializers.get(name)(**fields)


HE_FAN_OUT = start("variance_scaling", scale=2.0, mode="fan_out", distribution="normal")
"""He's normal draws after the number of outputs: convolutions of most image networks."""
SMALL = start("normal", std=0.01)
"""The dense layers behind them."""
TRUNCATED = start("truncated_normal", std=0.02)
"""Transformers after BERT."""
NARROW = start("normal", std=0.02)
"""Learned positions, and generative networks."""
