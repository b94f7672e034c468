"""Losses in TensorFlow as two sums, so that micro-batches add up to the whole batch; one file per family."""

from dlrun.backends.tensorflow.losses.lowered import LoweredLoss, lower_loss

__all__ = ["LoweredLoss", "lower_loss"]
