"""Element-wise activations and softmax in torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from dlrun.backends.torch.layout import channel_axis
from dlrun.backends.torch.lowering import lowers
from dlrun.graph import Node
from dlrun.layers import activation


@lowers(activation.ReLU)
def relu(layer: activation.ReLU, node: Node) -> nn.Module:
    return nn.ReLU(inplace=False)


@lowers(activation.ReLU6)
def relu6(layer: activation.ReLU6, node: Node) -> nn.Module:
    return nn.ReLU6(inplace=False)


@lowers(activation.LeakyReLU)
def leaky_relu(layer: activation.LeakyReLU, node: Node) -> nn.Module:
    return nn.LeakyReLU(negative_slope=layer.slope, inplace=False)


@lowers(activation.ELU)
def elu(layer: activation.ELU, node: Node) -> nn.Module:
    return nn.ELU(alpha=layer.alpha, inplace=False)


@lowers(activation.CELU)
def celu(layer: activation.CELU, node: Node) -> nn.Module:
    return CELU(layer.alpha)


class CELU(nn.Module):
    """x above zero, else alpha (exp(x / alpha) - 1); ``nn.CELU`` keeps 1 / alpha in single precision."""

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x > 0, x, self.alpha * torch.expm1(torch.clamp(x, max=0) / self.alpha))

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"


@lowers(activation.SELU)
def selu(layer: activation.SELU, node: Node) -> nn.Module:
    return nn.SELU(inplace=False)


@lowers(activation.GELU)
def gelu(layer: activation.GELU, node: Node) -> nn.Module:
    return nn.GELU(approximate=layer.approximate)


@lowers(activation.GELUTanh)
def gelu_tanh(layer: activation.GELUTanh, node: Node) -> nn.Module:
    return nn.GELU(approximate="tanh")


@lowers(activation.QuickGELU)
def quick_gelu(layer: activation.QuickGELU, node: Node) -> nn.Module:
    return QuickGELU()


class QuickGELU(nn.Module):
    """x sigmoid(1.702 x)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(1.702 * x)


@lowers(activation.SiLU)
def silu(layer: activation.SiLU, node: Node) -> nn.Module:
    return nn.SiLU(inplace=False)


@lowers(activation.Mish)
def mish(layer: activation.Mish, node: Node) -> nn.Module:
    return nn.Mish(inplace=False)


@lowers(activation.Softplus)
def softplus(layer: activation.Softplus, node: Node) -> nn.Module:
    # Linear above 20, as torch has it, is 2e-9 off in float64; at 40 it is exact and exp still fits float32.
    return nn.Softplus(beta=1.0, threshold=40.0)


@lowers(activation.Softsign)
def softsign(layer: activation.Softsign, node: Node) -> nn.Module:
    return nn.Softsign()


@lowers(activation.Sigmoid)
def sigmoid(layer: activation.Sigmoid, node: Node) -> nn.Module:
    return nn.Sigmoid()


@lowers(activation.LogSigmoid)
def log_sigmoid(layer: activation.LogSigmoid, node: Node) -> nn.Module:
    return nn.LogSigmoid()


@lowers(activation.Tanh)
def tanh(layer: activation.Tanh, node: Node) -> nn.Module:
    return nn.Tanh()


@lowers(activation.HardSigmoid)
def hard_sigmoid(layer: activation.HardSigmoid, node: Node) -> nn.Module:
    return HardSigmoid()


class HardSigmoid(nn.Module):
    """relu6(x + 3) / 6; the gradient of ``nn.Hardsigmoid`` in float64 is only single precision."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu6(x + 3) / 6


@lowers(activation.HardSwish)
def hard_swish(layer: activation.HardSwish, node: Node) -> nn.Module:
    return nn.Hardswish(inplace=False)


@lowers(activation.Softmax)
def softmax(layer: activation.Softmax, node: Node) -> nn.Module:
    return nn.Softmax(dim=channel_axis(node.output))


@lowers(activation.LogSoftmax)
def log_softmax(layer: activation.LogSoftmax, node: Node) -> nn.Module:
    return nn.LogSoftmax(dim=channel_axis(node.output))
