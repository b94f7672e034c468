"""The recipe as typed values: what the configuration produces and everything after it reads.

Every default of the recipe language stands here or in the class of a named choice (layer, loss,
optimizer, schedule, source, transform, metric, tracker).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Lt

from dlrun.data.augmentation import Augmentation
from dlrun.data.remote import RemoteFile
from dlrun.data.source import Source
from dlrun.data.transforms import Transform
from dlrun.graph.architecture import Model
from dlrun.losses import Loss
from dlrun.losses.weighted_sum import Term, WeightedSum
from dlrun.metrics.metric import Metric
from dlrun.optimizers import Optimizer
from dlrun.schedules import Schedule

Positive = Annotated[int, Gt(0)]


_NO_NAME = re.compile(r"[/\\\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What no name holds: separators, control characters, bytes that are not UTF-8."""


@dataclass(frozen=True)
class FolderName:
    """Rule for text that names a folder: what would lead elsewhere, or what no file system takes, is no name."""

    says = "a name for a folder (no `/` or `\\`, not `.` or `..`, no blank at either end, 200 bytes at most)"

    def allows(self, text: str) -> bool:
        """Whether ``text`` keeps the rule."""
        if _NO_NAME.search(text) or text != text.strip() or text in ("", ".", ".."):
            return False
        return len(text.encode()) <= 200  # of 255: temporary files beside it have longer names


Name = Annotated[str, FolderName()]
Precision = Literal["float32", "float64", "bfloat16", "float16"]


@dataclass(frozen=True, kw_only=True)
class Data:
    """Where samples come from and how they are batched.

    Args:
        source: The data set.
        root: Folder of data files; without it ``DLRUN_DATA``, then the user's cache folder.
        download: Whether missing files may be fetched.
        files: Files to fetch by URL before the source looks for its own.
        batch_size: Samples per update; the last batch of an epoch may be smaller.
        eval_batch_size: Samples per forward pass in evaluation.
        validation: Samples of the training split held out: a count, or a share below 1.
        shuffle: Whether each epoch has an order of its own.
        sampling: `natural` visits each training sample once in an epoch; `balanced` draws as many with replacement,
            each class as often; so does a list of shares, one for each class.
        last_batch: Whether an epoch's last batch is used where it is smaller, or dropped.
        preprocess: Transforms of every sample, in order.
        augment: Random changes to training samples, in order, before `preprocess`.
        memory_mb: Data sets up to this size stay in memory (on the device) whole.
        prefetch: Batches prepared ahead when a data set is streamed.
        workers: Processes that prepare them; 0 for a thread of this one. As many as there are cores, at most 4, when
            left out and samples are read from files while training. The batches are the same.
    """

    source: Source
    root: str | None = None
    download: bool = True
    files: tuple[RemoteFile, ...] = ()
    batch_size: Positive = 128
    eval_batch_size: Positive = 1000
    validation: Annotated[int, Ge(0)] | Annotated[float, Ge(0), Lt(1)] = 0
    shuffle: bool = True
    sampling: Literal["natural", "balanced"] | tuple[Annotated[float, Ge(0)], ...] = "natural"
    last_batch: Literal["keep", "drop"] = "keep"
    preprocess: tuple[Transform, ...] = ()
    augment: tuple[Augmentation, ...] = ()
    memory_mb: Positive = 2048
    prefetch: Positive = 4
    workers: Annotated[int, Ge(0)] | None = None


@dataclass(frozen=True, kw_only=True)
class EarlyStopping:
    """When to stop before the last epoch.

    Args:
        patience: Epochs without improvement that are tolerated.
        min_delta: Smallest change that counts as improvement, for the best checkpoint too.
    """

    patience: Positive = 5
    min_delta: Annotated[float, Ge(0)] = 0.0


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """When the run's state is written and how much is kept.

    Args:
        every_epochs: Epochs between checkpoints.
        every_steps: Updates between further checkpoints, or none.
        keep: How many of the latest are kept; the best one always is.
    """

    every_epochs: Positive = 1
    every_steps: Positive | None = None
    keep: Positive = 2


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One of the steps that an update consists of: some of the weights follow a loss of their own.

    Args:
        weights: Pattern of the weights that it moves, e.g. `discriminator.*`.
        loss: What they minimise; a `weighted_sum` may read several outputs. Weights that it does not reach have a
            gradient of 0: momentum and weight decay move them.
        output: The output that the loss reads, one of the model's; the answer (the first) when left out.
    """

    weights: str
    loss: Loss
    output: str | None = None

    @property
    def minimised(self) -> WeightedSum:
        """The loss as terms that name their outputs."""
        if isinstance(self.loss, WeightedSum):
            return self.loss
        fields: dict[str, Any] = {"terms": (Term(loss=self.loss, output=self.output),)}
        return WeightedSum(**fields)

    def reads(self, outputs: tuple[str, ...]) -> tuple[int, ...]:
        """Numbers of the outputs that the loss reads, ascending."""
        return tuple(sorted(set(self.minimised.places(outputs))))


@dataclass(frozen=True, kw_only=True)
class Train:
    """The training loop.

    Args:
        epochs: Passes over the training split.
        limit_batches: Updates per epoch at most; also caps evaluation at as many batches.
        phases: Steps that each update consists of, for networks trained against each other: each moves some of the
            weights by a loss of its own. One step for all weights when left out.
        micro_batches: Parts a batch is split into; their gradients add up to the whole batch's.
        clip_norm: Largest global gradient norm, or none.
        clip_value: Largest absolute gradient element, or none.
        ema: Decay of the weights' moving average used for evaluation, or none.
        portable_dropout: Whether dropout draws the same bits on every backend (slower on torch).
        monitor: Metric that picks the best checkpoint; the task's first metric when left out.
        early_stopping: When to stop early, or none.
        checkpoints: When the state is written.
        chunk_steps: Updates between looks at the clock; chosen by time when left out.
    """

    epochs: Positive = 1
    limit_batches: Positive | None = None
    phases: tuple[Phase, ...] = ()
    micro_batches: Positive = 1
    clip_norm: Annotated[float, Gt(0)] | None = None
    clip_value: Annotated[float, Gt(0)] | None = None
    ema: Annotated[float, Gt(0), Lt(1)] | None = None
    portable_dropout: bool = False
    monitor: str | None = None
    early_stopping: EarlyStopping | None = None
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    chunk_steps: Positive | None = None


@dataclass(frozen=True, kw_only=True)
class BackendChoice:
    """The framework.

    Args:
        name: ``torch`` or ``tensorflow``.
        compile: Whether steps are compiled further (torch.compile, XLA).
        eager: Whether steps run operation by operation, for a debugger.
    """

    name: str = "torch"
    compile: bool = False
    eager: bool = False


@dataclass(frozen=True, kw_only=True)
class Device:
    """The machine.

    Args:
        name: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        index: Which of several, from 0.
        threads: CPU threads, or the framework's own choice.
        deterministic: Whether only reproducible kernels are used.
    """

    name: Literal["auto", "cpu", "cuda", "mps", "tpu"] = "auto"
    index: Annotated[int, Ge(0)] | None = None
    threads: Positive | None = None
    deterministic: bool = True


@dataclass(frozen=True, kw_only=True)
class Tracker:
    """Where curves are also written.

    Args:
        name: ``tensorboard`` for event files in the run directory, or ``none``.
    """

    name: Literal["tensorboard", "none"] = "tensorboard"


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where the run directory goes.

    Args:
        root: Folder of all run directories.
        name: The run's own folder below ``root/<recipe>``; date, time and backend when left out.
    """

    root: str = "outputs"
    name: Name | None = None


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole experiment, validated.

    Args:
        name: Name of the recipe (its file's stem).
        task: What is learned, e.g. ``image_classification``.
        data: Where samples come from.
        model: The network.
        loss: What is minimised; the task's default when left out, nothing where `train.phases` say it.
        metrics: What evaluation reports beside the loss; the task's defaults when left out.
        optimizer: How weights are updated.
        schedule: How the learning rate changes.
        train: The training loop.
        backend: The framework.
        device: The machine.
        precision: Number format: float32, float64, or mixed bfloat16 or float16.
        tracker: Where curves are also written.
        output: Where the run directory goes.
        seed: Key of every random draw.
        extensions: Python files that describe layers of one's own, relative to the recipe's file.
    """

    name: Name
    task: str = "image_classification"
    data: Data
    model: Model
    loss: Loss | None = None
    metrics: tuple[Metric, ...]
    optimizer: Optimizer
    schedule: Schedule
    train: Train = field(default_factory=Train)
    backend: BackendChoice = field(default_factory=BackendChoice)
    device: Device = field(default_factory=Device)
    precision: Precision = "float32"
    tracker: Tracker = field(default_factory=Tracker)
    output: Output = field(default_factory=Output)
    seed: Annotated[int, Ge(0)] = 0
    extensions: tuple[str, ...] = ()
