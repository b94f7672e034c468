"""What each loss means, one file per family, with its numpy reference. Every loss reads logits, never probabilities."""

from dlrun.losses.loss import Example, Loss, Sum, label_type, log_softmax, losses

__all__ = ["Example", "Loss", "Sum", "label_type", "log_softmax", "losses"]
