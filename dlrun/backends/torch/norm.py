"""Normalisation in torch."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils import skip_init

from dlrun.backends.torch.layout import IMAGE_RANK, to_canonical, to_native
from dlrun.backends.torch.lowering import lowers
from dlrun.graph import Node
from dlrun.layers import norm


@lowers(norm.BatchNorm, scale="weight", shift="bias", mean="running_mean", variance="running_var")
def batch_norm(layer: norm.BatchNorm, node: Node) -> nn.Module:
    (x,) = node.input_types
    native = {IMAGE_RANK: nn.BatchNorm2d, 1: nn.BatchNorm1d}.get(x.rank, LastAxisBatchNorm)
    module = skip_init(
        native,
        num_features=x.shape[-1],
        eps=layer.epsilon,
        momentum=layer.momentum,
        affine=True,
        track_running_stats=True,
    )
    module.num_batches_tracked = None  # read only for a cumulative average; counting costs time each step
    return module


class LastAxisBatchNorm(nn.BatchNorm1d):
    """Batch normalisation of channels-last data that is no image: (N, *, C) -> (N, *, C)."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input.flatten(0, -2)).reshape(input.shape)


@lowers(norm.LayerNorm, scale="weight", shift="bias")
def layer_norm(layer: norm.LayerNorm, node: Node) -> nn.Module:
    (x,) = node.input_types
    native = ChannelLayerNorm if x.rank == IMAGE_RANK else nn.LayerNorm
    return skip_init(native, normalized_shape=(x.shape[-1],), eps=layer.epsilon, elementwise_affine=True, bias=True)


class ChannelLayerNorm(nn.LayerNorm):
    """Layer normalisation over an image's channels: (N, C, H, W) -> (N, C, H, W)."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return to_native(super().forward(to_canonical(input)))
