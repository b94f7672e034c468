"""Lightning's Trainer on tensors in memory, with its progress bar, logger and checkpoints.

The loader indexes whole batches (``batch_size=None`` with a batch sampler), which is several times
faster than the usual one that collates sample by sample.
"""

from __future__ import annotations

import tempfile
import warnings

import lightning
import torch
import torch.nn.functional as F
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler, TensorDataset
from workload import BATCH, EVAL_BATCH, RATE, Stopwatch, arguments, load

warnings.filterwarnings("ignore")
args = arguments()
data = load(args.model, args.batches)


class Classifier(lightning.LightningModule):
    """The benchmark's model with its loss, accuracy and optimizer."""

    def __init__(self) -> None:
        super().__init__()
        if args.model == "mlp":
            self.net = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
        else:
            self.net = nn.Sequential(
                *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
                *(nn.Linear(64 * 12 * 12, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10)),
            ).to(memory_format=torch.channels_last)

    def training_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        x, y = batch
        return F.cross_entropy(self.net(x), y)

    def validation_step(self, batch: list[torch.Tensor]) -> None:
        x, y = batch
        self.log("accuracy", (self.net(x).argmax(1) == y).float().mean(), batch_size=len(y))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=RATE, fused=True)


class Timer(lightning.Callback):
    """Notes the end of each epoch's validation."""

    def on_validation_epoch_end(self, trainer: lightning.Trainer, *_: object) -> None:
        if not trainer.sanity_checking:
            watch.epoch(float(trainer.callback_metrics.get("accuracy", 0.0)))


def loader(x: torch.Tensor, y: torch.Tensor, batch: int, shuffle: bool) -> DataLoader:
    """Batches taken from the tensors in one piece."""
    dataset = TensorDataset(x.permute(0, 3, 1, 2), y)
    order = RandomSampler(dataset) if shuffle else SequentialSampler(dataset)
    return DataLoader(dataset, sampler=BatchSampler(order, batch, drop_last=False), batch_size=None)


watch = Stopwatch(len(data.x))
with tempfile.TemporaryDirectory() as folder:
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=args.epochs,
        num_sanity_val_steps=0,
        logger=CSVLogger(folder),
        default_root_dir=folder,
        enable_model_summary=False,
        callbacks=[Timer()],
    )
    train = loader(torch.from_numpy(data.x), torch.from_numpy(data.y), BATCH, True)
    trainer.fit(
        Classifier(), train, loader(torch.from_numpy(data.x_val), torch.from_numpy(data.y_val), EVAL_BATCH, False)
    )
watch.report("lightning")
