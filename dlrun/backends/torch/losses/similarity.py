"""Losses between directions and distances of vectors in torch."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from dlrun.backends.torch.losses.native import NativeLoss
from dlrun.backends.torch.lowering import lowers
from dlrun.losses import similarity


@lowers(similarity.CosineSimilarity)
class CosineSimilarity(NativeLoss):
    """Native."""

    def sum(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return (1 - F.cosine_similarity(output, target, dim=-1, eps=self.spec.epsilon)).sum()

    def weight(self, target: torch.Tensor) -> int:
        return target.numel() // target.shape[-1]


@lowers(similarity.Contrastive)
class Contrastive(NativeLoss):
    """Native distance."""

    def target(self, y: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        return y.to(self.dtype)

    def sum(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        d = F.pairwise_distance(output[:, 0], output[:, 1], p=2.0, eps=similarity.GAP, keepdim=False)
        apart = F.relu(self.spec.margin - d)
        return (target * d * d + (1 - target) * apart * apart).sum()


@lowers(similarity.Triplet)
class Triplet(NativeLoss):
    """Native distances; the margin's own gradient at its edge is 0 with relu, not in torch's triplet loss."""

    def target(self, y: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        return y

    def sum(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        anchor, positive, negative = output.unbind(1)
        near = F.pairwise_distance(anchor, positive, p=2.0, eps=similarity.GAP, keepdim=False)
        far = F.pairwise_distance(anchor, negative, p=2.0, eps=similarity.GAP, keepdim=False)
        return F.relu(near - far + self.spec.margin).sum()
