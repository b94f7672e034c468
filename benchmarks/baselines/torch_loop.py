"""The best plain torch loop we know: tensors in memory, fused Adam, no reading from the device within an epoch."""

from __future__ import annotations

import time

import torch
import torch.nn.functional as F
from torch import nn
from workload import BATCH, EVAL_BATCH, RATE, WARM, Stopwatch, arguments, load

args = arguments()
data = load(args.model, args.batches)
torch.manual_seed(0)

if args.model == "mlp":
    model: nn.Module = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
else:
    model = nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(64 * 12 * 12, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)),
    ).to(memory_format=torch.channels_last)
optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
x, y = torch.from_numpy(data.x).permute(0, 3, 1, 2), torch.from_numpy(data.y)
x_val, y_val = torch.from_numpy(data.x_val).permute(0, 3, 1, 2), torch.from_numpy(data.y_val)


def epoch(permute_first: bool, samples: int = len(x)) -> float:
    """One epoch; its samples are put in order at once, or a batch at a time."""
    model.train()
    order = torch.randperm(len(x))[:samples]
    ordered = (x[order], y[order]) if permute_first else None
    total = torch.zeros(())
    for i in range(0, samples, BATCH):
        if ordered is not None:
            bx, by = ordered[0][i : i + BATCH], ordered[1][i : i + BATCH]
        else:
            rows = order[i : i + BATCH]
            bx, by = x.index_select(0, rows), y.index_select(0, rows)
        loss = F.cross_entropy(model(bx), by)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += loss.detach() * len(by)
    return total.item() / samples


@torch.inference_mode()
def accuracy() -> float:
    model.eval()
    parts = zip(x_val.split(EVAL_BATCH), y_val.split(EVAL_BATCH), strict=True)
    return (sum((model(a).argmax(1) == b).sum() for a, b in parts) / len(y_val)).item()


watch = Stopwatch(len(x))
took = {}
epoch(False, 5 * BATCH)  # the first updates of a process are slow, and the two ways are to be compared
for e in range(args.epochs):
    # each warm epoch tries one way; the timed ones use the faster
    permute_first = bool(e % 2) if e < WARM else took[True] < took[False]
    start = time.perf_counter()
    epoch(permute_first)
    took[permute_first] = time.perf_counter() - start
    watch.epoch(accuracy())
watch.report("torch loop")
