"""Number formats: what runs in half precision, and how float16 gradients are kept from vanishing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
from torch import nn

_HALF = {"bfloat16": torch.bfloat16, "float16": torch.float16}
_KEPT_FLOAT32 = (
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
    nn.Softmax,
    nn.LogSoftmax,
)


def dtype_of(precision: str) -> torch.dtype:
    """Format of weights, samples and losses."""
    return torch.float64 if precision == "float64" else torch.float32


def mixed(precision: str) -> bool:
    """Whether convolutions and dense layers run in half precision."""
    return precision in _HALF


def forward_context(precision: str, device: torch.device) -> Callable[[], AbstractContextManager[object]]:
    """A context for forward passes, in which convolutions and dense layers use the recipe's format."""
    if not mixed(precision):
        return nullcontext
    return partial(torch.autocast, device_type=device.type, dtype=_HALF[precision], enabled=True, cache_enabled=True)


def keep_float32(module: nn.Module) -> None:
    """Make norms and softmax read float32; autocast itself decides that differently on each device.

    Batch norm needs no such copy: its kernels read and write half precision and compute in float32, as TensorFlow's.
    """
    for part in module.modules():
        if isinstance(part, _KEPT_FLOAT32):
            part.register_forward_pre_hook(_to_float32)


def _to_float32(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return tuple(x.float() for x in inputs)


class LossScale:
    """Dynamic scaling of float16 losses.

    The loss is multiplied by ``scale`` before the backward pass. An update whose gradients
    overflow is skipped and halves the scale; ``GROWTH_STEPS`` clean ones in a row double it.
    """

    INITIAL = 2.0**16
    GROWTH_STEPS = 2000

    def __init__(self) -> None:
        self.scale = self.INITIAL
        self.clean_steps = 0

    def unscale(self, gradients: Sequence[torch.Tensor]) -> bool:
        """Divide gradients by the scale and adjust it; False when the update must be skipped."""
        torch._foreach_div_(list(gradients), self.scale)
        finite = bool(torch.stack([torch.isfinite(g).all() for g in gradients]).all())
        self.clean_steps = self.clean_steps + 1 if finite else 0
        if not finite:
            self.scale /= 2
        elif self.clean_steps == self.GROWTH_STEPS:
            self.scale *= 2
            self.clean_steps = 0
        return finite

    def scalars(self) -> dict[str, float]:
        """State for a checkpoint."""
        return {"loss_scale": self.scale, "clean_steps": float(self.clean_steps)}

    def restore(self, scalars: dict[str, float]) -> None:
        """Continue from a checkpoint; what is missing starts afresh."""
        self.scale = float(scalars.get("loss_scale", self.INITIAL))
        self.clean_steps = int(scalars.get("clean_steps", 0))
