"""Native PyTorch: an ``nn.Module`` of torch's own layers, trained by torch's own optimizers."""

from dlrun.backends.torch.backend import Torch

BACKEND = Torch()

__all__ = ["BACKEND"]
