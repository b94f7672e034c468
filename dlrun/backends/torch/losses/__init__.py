"""Losses in torch, one file per family: a mean for whole batches, two sums for batches in parts."""

from dlrun.backends.torch.losses.native import NativeLoss, native_loss

__all__ = ["NativeLoss", "native_loss"]
