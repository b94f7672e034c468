"""What a backend must provide. The runner sees these protocols only and never names a backend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from dlrun.plan import Plan

Batch = tuple[np.ndarray, np.ndarray]
"""Preprocessed samples (B, *shape) of ``plan.input_dtype`` and labels (B, *target)."""


@dataclass
class EngineState:
    """All that training changes, in canonical names and layout, on the host.

    Args:
        weights: By ``<node>.<weight>``, running statistics included.
        slots: Optimizer arrays by ``<node>.<weight>/<slot>``; trainable weights only.
        ema: Moving averages by ``<node>.<weight>``, running statistics copied; empty without EMA.
        scalars: ``loss_scale`` and ``clean_steps`` under float16; ``<slot>/scale`` where a backend keeps a
            slot multiplied by a constant.
    """

    weights: dict[str, np.ndarray]
    slots: dict[str, np.ndarray] = field(default_factory=dict)
    ema: dict[str, np.ndarray] = field(default_factory=dict)
    scalars: dict[str, float] = field(default_factory=dict)


class Engine(Protocol):
    """A compiled model with its optimizer, on a device."""

    def attach(self, x: np.ndarray, y: np.ndarray) -> None:
        """Keep preprocessed training samples resident on the device: (N, *), (N, *)."""

    def train_resident(self, order: np.ndarray, first_batch: int, first_step: int, rates: np.ndarray) -> np.ndarray:
        """Run ``len(rates)`` updates on resident samples.

        Args:
            order: The epoch's sample order, int64 (N,); batch i is ``order[i*B:(i+1)*B]``.
            first_batch: Number of the first batch within the epoch.
            first_step: Updates completed before this call; keys dropout and bias correction.
            rates: Learning rates, float64 (steps,).

        Returns:
            The loss of each update, float64 (steps,). One host sync per call.
        """
        ...

    def train_streamed(self, batches: Sequence[Batch], first_step: int, rates: np.ndarray) -> np.ndarray:
        """The same for batches that come from the host, ``len(batches) == len(rates)``."""
        ...

    def upload(self, x: np.ndarray) -> Any:
        """Preprocessed samples (N, *) on the device, for ``infer`` to read as often as it is asked to."""
        ...

    def infer(self, x: np.ndarray | Any) -> np.ndarray:
        """Outputs (N, *) in evaluation mode for preprocessed or uploaded samples, EMA weights if kept.

        Returns float32 (float64 under that precision). One forward pass over the whole batch.
        """
        ...

    def gradients(self, batch: Batch, step: int) -> dict[str, np.ndarray]:
        """Gradients of a batch's loss in update ``step + 1``, by trainable weight; nothing is changed.

        Canonical names and layout, before penalties and clipping. For looking inside: training never calls it.
        """
        ...

    def outputs(self, batch: Batch, step: int) -> dict[str, np.ndarray]:
        """What each layer puts out in the forward pass of update ``step + 1``, by node: (B, *); nothing is changed."""
        ...

    def device_memory(self) -> int | None:
        """Bytes of the graphics card's memory in use at most so far; None elsewhere."""
        ...

    def state(self) -> EngineState:
        """A copy of everything training changes."""
        ...

    def restore(self, state: EngineState) -> None:
        """Replace everything training changes. Weights not named keep their value;
        missing slots become zeros."""

    def describe(self) -> dict[str, Any]:
        """JSON-ready: ``device`` (as used, e.g. ``cpu``, ``cuda:0``), ``threads``, ``deterministic``, ``versions``;
        ``parameters`` (trained ones, those of a native model included) and ``frozen``."""
        ...

    def native(self) -> Any:
        """The ``torch.nn.Module`` or ``keras.Model`` itself."""
        ...


class Backend(Protocol):
    """A framework."""

    name: str
    export_formats: tuple[str, ...]

    def compile(self, plan: Plan) -> Engine:
        """Build the model with its initial weights on the recipe's device.

        Raises:
            DlrunError: ``device-not-available`` and the like.
        """
        ...

    def devices(self) -> list[str]:
        """Devices seen, e.g. ``["cpu", "cuda:0"]``."""
        ...

    def export(self, plan: Plan, weights: dict[str, np.ndarray], format: str, target: Path) -> None:
        """Write an artefact of the model with preprocessing inside; not verified here.

        The artefact maps stored samples (N, *input) of ``signature.stored_dtype``, named
        ``input``, to outputs (N, *) named ``output``, for any N.
        """
