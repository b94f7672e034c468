"""Normalisation in torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import skip_init

from dlrun.backends.torch.layout import IMAGE_RANK, laid_out, to_canonical, to_native
from dlrun.backends.torch.lowering import lowers
from dlrun.graph import Node
from dlrun.layers import norm


@lowers(norm.BatchNorm, scale="weight", shift="bias", mean="running_mean", variance="running_var")
def batch_norm(layer: norm.BatchNorm, node: Node) -> nn.Module:
    (x,) = node.input_types
    frozen = not layer.trainable
    native = {IMAGE_RANK: (nn.BatchNorm2d, FrozenBatchNorm2d), 1: (nn.BatchNorm1d, FrozenBatchNorm1d)}.get(
        x.rank, (LastAxisBatchNorm, FrozenLastAxisBatchNorm)
    )[frozen]
    module = skip_init(
        native,
        num_features=x.shape[-1],
        eps=layer.epsilon,
        momentum=layer.momentum,
        affine=True,
        track_running_stats=True,
    )
    module.num_batches_tracked = None  # read only for a cumulative average; counting costs time each step
    return _with(module.eval() if frozen else module, layer.scale, layer.shift)


def _with(module: nn.Module, scale: bool, shift: bool) -> nn.Module:
    """Without the weights that the layer does not have."""
    if not scale:
        module.weight = None
    if not shift:
        module.bias = None
    return module


class LastAxisBatchNorm(nn.BatchNorm1d):
    """Batch normalisation of channels-last data that is no image: (N, *, C) -> (N, *, C)."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input.flatten(0, -2)).reshape(input.shape)


class _Frozen(nn.Module):
    """Stays in evaluation mode, so that training neither uses nor moves the batch's statistics."""

    def train(self, mode: bool = True) -> _Frozen:
        return super().train(False)


class FrozenBatchNorm2d(_Frozen, nn.BatchNorm2d):
    """Normalisation of images by the running statistics: (N, C, H, W) -> (N, C, H, W)."""


class FrozenBatchNorm1d(_Frozen, nn.BatchNorm1d):
    """Normalisation of features by the running statistics: (N, C) -> (N, C)."""


class FrozenLastAxisBatchNorm(_Frozen, LastAxisBatchNorm):
    """Normalisation of anything else by the running statistics: (N, *, C) -> (N, *, C)."""


@lowers(norm.LayerNorm, scale="weight", shift="bias")
def layer_norm(layer: norm.LayerNorm, node: Node) -> nn.Module:
    (x,) = node.input_types
    native = ChannelLayerNorm if x.rank == IMAGE_RANK else nn.LayerNorm
    module = skip_init(native, normalized_shape=(x.shape[-1],), eps=layer.epsilon, elementwise_affine=True, bias=True)
    return _with(module, layer.scale, layer.shift)


class ChannelLayerNorm(nn.LayerNorm):
    """Layer normalisation over an image's channels: (N, C, H, W) -> (N, C, H, W)."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return to_native(super().forward(to_canonical(input)))


@lowers(norm.RMSNorm, scale="weight")
def rms_norm(layer: norm.RMSNorm, node: Node) -> nn.Module:
    (x,) = node.input_types
    native = ChannelRMSNorm if x.rank == IMAGE_RANK else nn.RMSNorm
    return skip_init(native, normalized_shape=(x.shape[-1],), eps=layer.epsilon, elementwise_affine=layer.scale)


class ChannelRMSNorm(nn.RMSNorm):
    """Root-mean-square normalisation over an image's channels: (N, C, H, W) -> (N, C, H, W)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return to_native(super().forward(to_canonical(x)))


@lowers(norm.GroupNorm, scale="weight", shift="bias")
def group_norm(layer: norm.GroupNorm, node: Node) -> nn.Module:
    return _grouped(layer, node, layer.groups)


@lowers(norm.InstanceNorm, scale="weight", shift="bias")
def instance_norm(layer: norm.InstanceNorm, node: Node) -> nn.Module:
    return _grouped(layer, node, node.output.shape[-1])


def _grouped(layer: norm.GroupNorm | norm.InstanceNorm, node: Node, groups: int) -> nn.Module:
    (x,) = node.input_types
    native = ShiftedGroupNorm if layer.shift and not layer.scale else nn.GroupNorm
    module = skip_init(native, num_groups=groups, num_channels=x.shape[-1], eps=layer.epsilon, affine=True)
    module = _with(module, layer.scale, layer.shift)
    return module if x.rank == 1 else laid_out(module, x.rank - 1)


class ShiftedGroupNorm(nn.GroupNorm):
    """Group normalisation with a shift and no scale, for which torch's own has no gradient: (N, C, *) -> (N, C, *)."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        y = F.group_norm(input, num_groups=self.num_groups, weight=None, bias=None, eps=self.eps)
        return y + self.bias.view(-1, *(1,) * (input.dim() - 2))
