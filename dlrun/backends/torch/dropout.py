"""Dropout whose mask is a pure function of (seed, layer, step, micro-batch)."""

from __future__ import annotations

import torch
from torch import nn

from dlrun.backends.torch.layout import to_native
from dlrun.graph import TensorType
from dlrun.randomness import derive, step_key

_MASK32 = 0xFFFFFFFF
_MASK63 = (1 << 63) - 1
_INDEX_FACTOR = 0x9E3779B9
_ROUNDS = ((16, 0x21F0AAAD), (15, 0x735A2D97))


class Clock:
    """Where training stands; shared by every dropout layer of a model.

    Args:
        seed: The recipe's seed.
        portable: Whether masks have the same bits on every backend.
        device: Where masks are drawn.

    ``step`` counts completed updates, ``micro_batch`` numbers the part of the batch and
    ``first_sample`` is the position of its first sample within the batch.
    """

    def __init__(self, seed: int, portable: bool, device: torch.device) -> None:
        self.seed = seed
        self.portable = portable
        self.generator = torch.Generator(device=device)
        self.step = 0
        self.micro_batch = 0
        self.first_sample = 0


class Dropout(nn.Dropout):
    """Native dropout with reproducible draws; without a clock it is plain ``nn.Dropout``.

    Args:
        rate: Share of elements zeroed.
        name: Canonical name of the layer, part of the draw's key.
        sample: Type of one sample, channels last.

    Shapes: (N, *) -> (N, *).
    """

    def __init__(self, rate: float, name: str, sample: TensorType) -> None:
        super().__init__(p=rate, inplace=False)
        self._name = name
        self._sample = sample
        self._clock: Clock | None = None
        self._key = 0
        self._index: torch.Tensor | None = None

    def follow(self, clock: Clock) -> None:
        """Draw by this clock from now on."""
        self._clock = clock
        self._key = derive(clock.seed, "dropout", self._name)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0:
            return input
        if self._clock is None:
            return super().forward(input)
        mask = self._mask(input)
        if input.dtype in (torch.float32, torch.float64):
            return input * mask.div_(1 - self.p)
        return input * mask / (1 - self.p)  # a half-precision mask could not hold 1 / (1 - p)

    @torch.compiler.disable
    def _mask(self, x: torch.Tensor) -> torch.Tensor:
        """1 where an element is kept and 0 elsewhere, like ``x``."""
        clock = self._clock
        assert clock is not None
        if clock.portable:
            return self._portable(x, clock)
        clock.generator.manual_seed(step_key(self._key, clock.step, clock.micro_batch) & _MASK63)
        return torch.empty_like(x, requires_grad=False).bernoulli_(1 - self.p, generator=clock.generator)

    def _portable(self, x: torch.Tensor, clock: Clock) -> torch.Tensor:
        """The bits of ``dlrun.randomness.keep_mask`` for this part of the whole batch."""
        size = x.numel()
        if self._index is None or self._index.numel() < size or self._index.device != x.device:
            # The factor is below 2**32 and indices below 2**31, so the product fits int64.
            self._index = torch.arange(size, device=x.device).mul_(_INDEX_FACTOR).bitwise_and_(_MASK32)
        offset = clock.first_sample * self._sample.size
        h = self._index[:size] + ((offset * _INDEX_FACTOR + step_key(self._key, clock.step)) & _MASK32)
        h.bitwise_and_(_MASK32)
        for shift, factor in _ROUNDS:
            h.bitwise_xor_(h >> shift).mul_(factor).bitwise_and_(_MASK32)
        h.bitwise_xor_(h >> 15)
        keep = (h >= int(self.p * 2**32)).view(x.shape[0], *self._sample.shape)
        return to_native(keep).to(x.dtype)


def follow_clock(module: nn.Module, clock: Clock) -> None:
    """Make every dropout layer of a model draw by ``clock``."""
    for part in module.modules():
        if isinstance(part, Dropout):
            part.follow(clock)
