"""Recurrent layers in torch: its own fused kernels, called with one bias where the layer has one.

Padding stands at the end, so that what comes before it does not depend on it: masked layers run over
everything and clear what lies past a sequence's end. Only the way back needs the end to be found first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from dlrun.backends.torch.lowering import lowers
from dlrun.graph import Node
from dlrun.layers import recurrent

_ONE_BIAS = {
    "kernel": "weight_ih_l0",
    "recurrent_kernel": "weight_hh_l0",
    "bias": "bias_ih_l0",
    "kernel_backward": "weight_ih_l0_reverse",
    "recurrent_kernel_backward": "weight_hh_l0_reverse",
    "bias_backward": "bias_ih_l0_reverse",
}
_TWO_BIASES = {**_ONE_BIAS, "recurrent_bias": "bias_hh_l0", "recurrent_bias_backward": "bias_hh_l0_reverse"}
_PER_WAY = 4
"""Arrays of one direction: two kernels and two biases."""


def _made(cls: type[nn.RNNBase], layer: recurrent.Recurrent, node: Node, **fields: Any) -> nn.Module:
    # the class hides its arguments from `skip_init`, which does the same
    made = cls(
        input_size=node.input_types[0].shape[1],
        hidden_size=layer.units,
        num_layers=1,
        bias=True,
        batch_first=True,
        dropout=0.0,
        bidirectional=layer.bidirectional,
        device="meta",
        **fields,
    )
    module = made.to_empty(device="cpu")
    module.sequences = layer.return_sequences
    return module


def _with_one_bias(module: nn.Module) -> nn.Module:
    """Fix the second bias, which torch adds to the first, at 0: trained, it would double each of its updates."""
    for name in [n for n, _ in module.named_parameters() if n.startswith("bias_hh")]:
        zeros = torch.zeros_like(getattr(module, name), requires_grad=False)
        delattr(module, name)
        module.register_buffer(name, zeros)
    return module


@lowers(recurrent.LSTM, **_ONE_BIAS)
def lstm(layer: recurrent.LSTM, node: Node) -> nn.Module:
    return _with_one_bias(_made(LSTM, layer, node))


@lowers(recurrent.GRU, **_TWO_BIASES)
def gru(layer: recurrent.GRU, node: Node) -> nn.Module:
    return _made(GRU, layer, node)


@lowers(recurrent.SimpleRNN, **_ONE_BIAS)
def simple_rnn(layer: recurrent.SimpleRNN, node: Node) -> nn.Module:
    return _with_one_bias(_made(SimpleRNN, layer, node, nonlinearity=layer.nonlinearity))


class _Sequences(nn.RNNBase):
    """One recurrent layer: (N, L, C) -> (N, L, ways units), or (N, ways units) without ``sequences``."""

    sequences: bool = True

    # torch's own layers take initial states and return them; these start from 0 and take a mask
    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:  # type: ignore[override]
        weights = [getattr(self, name) for name in self._flat_weights_names]
        x = x.to(weights[0].dtype)
        if mask is not None:
            return self._masked(x, mask, weights)
        output, state = self._run(x, weights, self.bidirectional)
        return output if self.sequences else state.transpose(0, 1).flatten(1)

    def _run(self, x: torch.Tensor, weights: Sequence[torch.Tensor], both: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Every step's output (N, L, ways units) and the last states (ways, N, units), from states of 0."""
        start = x.new_zeros(2 if both else 1, x.shape[0], self.hidden_size)
        output, state = self._kernel(x, start, weights, True, 1, 0.0, self.training, both, True)[:2]
        return output, state

    def _kernel(self, x: torch.Tensor, start: torch.Tensor, *rest: Any) -> tuple[torch.Tensor, ...]:
        """Torch's function for one layer, which each kind names."""
        raise NotImplementedError

    def _masked(self, x: torch.Tensor, mask: torch.Tensor, weights: Sequence[torch.Tensor]) -> torch.Tensor:
        steps, lengths = torch.arange(x.shape[1], device=x.device), mask.sum(dim=1, keepdim=True)
        padding = (steps >= lengths).unsqueeze(-1)
        outputs = [self._run(x, weights[:_PER_WAY], both=False)[0]]
        if self.bidirectional:
            mirrored = torch.where(steps < lengths, lengths - 1 - steps, steps)
            output = self._run(_steps(x, mirrored), weights[_PER_WAY:], both=False)[0]
            outputs.append(_steps(output, mirrored) if self.sequences else output)
        if not self.sequences:
            return torch.cat([last(output, lengths) for output in outputs], dim=-1)
        return torch.cat(outputs, dim=-1).masked_fill(padding, 0.0)


class LSTM(_Sequences, nn.LSTM):
    """Long short-term memory."""

    def _kernel(self, x: torch.Tensor, start: torch.Tensor, *rest: Any) -> tuple[torch.Tensor, ...]:
        return torch.lstm(x, (start, start), *rest)


class GRU(_Sequences, nn.GRU):
    """Gated recurrent unit."""

    def _kernel(self, x: torch.Tensor, start: torch.Tensor, *rest: Any) -> tuple[torch.Tensor, ...]:
        return torch.gru(x, start, *rest)


class SimpleRNN(_Sequences, nn.RNN):
    """Recurrent layer without gates."""

    def _kernel(self, x: torch.Tensor, start: torch.Tensor, *rest: Any) -> tuple[torch.Tensor, ...]:
        return (torch.rnn_tanh if self.nonlinearity == "tanh" else torch.rnn_relu)(x, start, *rest)


def _steps(x: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Steps of each sequence: (N, L, C), indices (N, K) -> (N, K, C)."""
    return x.gather(1, chosen.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


def last(x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Each sequence's last step, 0 for empty ones: (N, L, C), (N, 1) -> (N, C)."""
    found = _steps(x, (lengths - 1).clamp(min=0)).squeeze(1)
    return found.masked_fill(lengths == 0, 0.0)


@lowers(recurrent.Last)
def last_step(layer: recurrent.Last, node: Node) -> nn.Module:
    return Last()


class Last(nn.Module):
    """The last step within each sequence: (N, L, C), optionally a mask (N, L) -> (N, C)."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        return x[:, -1] if mask is None else last(x, mask.sum(dim=1, keepdim=True))
