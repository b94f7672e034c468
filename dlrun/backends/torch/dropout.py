"""Dropout and noise that are pure functions of (seed, layer, step, micro-batch)."""

from __future__ import annotations

import math

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
    """Where training stands; shared by every layer of a model that draws.

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


class Drawing(nn.Module):
    """What a layer that draws in training adds to a native one.

    Args:
        name: Canonical name of the layer, part of the draw's key.
        drawn: Type of what is drawn for one sample, channels last; an axis of length 1 may stand for one that shares.
        native: For the native layer.
    """

    def __init__(self, name: str, drawn: TensorType, **native: object) -> None:
        super().__init__(**native)
        self._name = name
        self._drawn = drawn
        self._clock: Clock | None = None
        self._key = 0
        self._index: torch.Tensor | None = None

    def follow(self, clock: Clock) -> None:
        """Draw by this clock from now on."""
        self._clock = clock
        self._key = derive(clock.seed, "dropout", self._name)

    def _native_shape(self, samples: int) -> torch.Size:
        """Shape of the draws for so many samples, in torch's layout."""
        return to_native(torch.empty(samples, *self._drawn.shape, device="meta")).shape

    @torch.compiler.disable
    def keep(self, x: torch.Tensor, rate: float) -> torch.Tensor:
        """1 where an element is kept and 0 elsewhere, of the dtype of ``x`` (and laid out like it)."""
        clock = self._clock
        if clock is not None and clock.portable:
            keep = self._hashed(x, clock, step_key(self._key, clock.step)) >= int(rate * 2**32)
            return self._laid_out(keep, x)
        shape = self._native_shape(x.shape[0])
        mask = torch.empty_like(x, requires_grad=False) if shape == x.shape else x.new_empty(shape)
        return mask.bernoulli_(1 - rate, generator=self._generator())

    @torch.compiler.disable
    def noise(self, x: torch.Tensor) -> torch.Tensor:
        """Unit normal numbers for the samples of ``x``, of its dtype (and laid out like it)."""
        clock = self._clock
        if clock is None or not clock.portable:
            shape = self._native_shape(x.shape[0])
            drawn = torch.empty_like(x, requires_grad=False) if shape == x.shape else x.new_empty(shape)
            return drawn.normal_(generator=self._generator())
        key = step_key(self._key, clock.step)
        first, second = (self._hashed(x, clock, k).double() for k in (key, key >> 32))
        return self._laid_out((-2 * ((first + 0.5) / 2**32).log()).sqrt() * (second * (2 * math.pi / 2**32)).cos(), x)

    def _generator(self) -> torch.Generator | None:
        """The clock's generator, set to this layer and step; torch's own without a clock."""
        clock = self._clock
        if clock is None:
            return None
        return clock.generator.manual_seed(step_key(self._key, clock.step, clock.micro_batch) & _MASK63)

    def _laid_out(self, flat: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return to_native(flat.view(x.shape[0], *self._drawn.shape)).to(x.dtype)

    def _hashed(self, x: torch.Tensor, clock: Clock, key: int) -> torch.Tensor:
        """The hashes of ``dlrun.randomness`` for this part of the whole batch, int64 (draws,)."""
        size = x.shape[0] * self._drawn.size
        if self._index is None or self._index.numel() < size or self._index.device != x.device:
            # The factor is below 2**32 and indices below 2**31, so the product fits int64.
            self._index = torch.arange(size, device=x.device).mul_(_INDEX_FACTOR).bitwise_and_(_MASK32)
        offset = clock.first_sample * self._drawn.size
        h = self._index[:size] + ((offset * _INDEX_FACTOR + key) & _MASK32)
        h.bitwise_and_(_MASK32)
        for shift, factor in _ROUNDS:
            h.bitwise_xor_(h >> shift).mul_(factor).bitwise_and_(_MASK32)
        return h.bitwise_xor_(h >> 15)


class Dropout(Drawing, nn.Dropout):
    """Native dropout with reproducible draws; without a clock it draws from torch's own generator.

    Args:
        rate: Share of elements zeroed.
        name: Canonical name of the layer, part of the draw's key.
        drawn: Type of one sample, channels last; of length 1 where an axis shares a draw.

    Shapes: (N, *) -> (N, *).
    """

    def __init__(self, rate: float, name: str, drawn: TensorType) -> None:
        super().__init__(name, drawn, p=rate, inplace=False)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0:
            return input
        mask = self.keep(input, self.p)
        if input.dtype in (torch.float32, torch.float64):
            return input * mask.div_(1 - self.p)
        return input * mask / (1 - self.p)  # a half-precision mask could not hold 1 / (1 - p)


class GaussianNoise(Drawing):
    """Adds normal noise in training, with reproducible draws.

    Args:
        deviation: Of the noise.
        name: Canonical name of the layer, part of the draw's key.
        drawn: Type of one sample, channels last.

    Shapes: (N, *) -> (N, *).
    """

    def __init__(self, deviation: float, name: str, drawn: TensorType) -> None:
        super().__init__(name, drawn)
        self.deviation = deviation

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return input + self.deviation * self.noise(input) if self.training and self.deviation else input

    def extra_repr(self) -> str:
        return f"deviation={self.deviation}"


def follow_clock(module: nn.Module, clock: Clock) -> None:
    """Make every layer of a model that draws in training draw by ``clock``."""
    for part in module.modules():
        if isinstance(part, Drawing):
            part.follow(clock)
        for hook in part._forward_pre_hooks.values():  # of a native model
            if hasattr(hook, "follow"):
                hook.follow(clock)
