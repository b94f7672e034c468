"""ResNet-18, a two-layer LSTM and a small transformer written by hand in torch, with the best plain training step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    """Two convolutions with batch normalisation and a shortcut."""

    def __init__(self, before: int, filters: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, filters, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.shortcut = None
        if stride > 1 or before != filters:
            self.shortcut = nn.Sequential(nn.Conv2d(before, filters, 1, stride, bias=False), nn.BatchNorm2d(filters))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class ResNet18(nn.Module):
    """The ImageNet form at 32 x 32: a 7 x 7 stem, pooling, four stages of two blocks."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn = nn.BatchNorm2d(64)
        blocks, before = [], 64
        for filters, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
            blocks += [Block(before, filters, stride), Block(filters, filters, 1)]
            before = filters
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(512, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.relu(self.bn(self.conv(x))), 3, 2, 1)
        return self.fc(self.blocks(x).mean((2, 3)))


class LSTMClassifier(nn.Module):
    """Embedding, two LSTM layers, the last state, a linear layer."""

    def __init__(self, vocabulary: int, units: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, units)
        self.lstm = nn.LSTM(units, units, num_layers=2, batch_first=True)
        self.fc = nn.Linear(units, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, _ = self.lstm(self.embedding(x))
        return self.fc(y[:, -1])


class Transformer(nn.Module):
    """Embedding, learned positions, two pre-norm encoder layers, mean over the sequence, a linear layer."""

    def __init__(self, vocabulary: int, length: int, units: int, heads: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, units)
        self.position = nn.Parameter(torch.zeros(length, units))
        layer = nn.TransformerEncoderLayer(
            units, heads, 4 * units, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.fc = nn.Linear(units, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.layers(self.embedding(x) + self.position).mean(1))


def stepper(model: nn.Module, x: np.ndarray, y: np.ndarray, batch: int) -> Callable[[int], None]:
    """A function that trains for so many steps on resident samples; fused Adam, gradients set to None."""
    model = model.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    samples, labels = torch.from_numpy(x), torch.from_numpy(y)
    if samples.dim() == 4:
        samples = samples.permute(0, 3, 1, 2)

    def run(steps: int) -> None:
        order = torch.randperm(len(samples))
        for i in range(steps):
            rows = order[i * batch : (i + 1) * batch]
            loss = F.cross_entropy(model(samples.index_select(0, rows)), labels.index_select(0, rows))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        loss.item()

    return run
