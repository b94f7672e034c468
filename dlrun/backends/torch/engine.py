"""A compiled model with its optimizer on a device: moves data in, state in and out, and calls ``Step``."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import torch
from torch import nn

from dlrun.backends.base import Batch, EngineState
from dlrun.backends.mismatch import mismatches, refuse
from dlrun.backends.processor import imitated
from dlrun.backends.torch import device as devices
from dlrun.backends.torch.dropout import Clock, follow_clock
from dlrun.backends.torch.ema import MovingAverage
from dlrun.backends.torch.foreign import realised
from dlrun.backends.torch.layout import to_canonical, to_native
from dlrun.backends.torch.losses import native_loss
from dlrun.backends.torch.lowering import is_own
from dlrun.backends.torch.model import GraphModule, Model, build
from dlrun.backends.torch.optimizers import native_optimizer, read_slots, write_slot
from dlrun.backends.torch.precision import LossScale, dtype_of, forward_context, keep_float32, mixed
from dlrun.backends.torch.rules import Rules
from dlrun.backends.torch.step import Forward, Objective, Part, Step
from dlrun.backends.torch.weights import Bound, load
from dlrun.errors import RunError
from dlrun.graph.batch import smallest_batch
from dlrun.losses import Loss
from dlrun.models.native import is_native
from dlrun.plan import Plan
from dlrun.update import Update


class TorchEngine:
    """The torch engine; see ``dlrun.backends.base.Engine``.

    Args:
        plan: What to build.

    Raises:
        DlrunError: When the device is not there.
    """

    def __init__(self, plan: Plan) -> None:
        recipe = plan.recipe
        start = plan.initial_weights()
        self._plan = plan = realised(plan)
        self._batch_size = recipe.data.batch_size
        self._micro_batches = recipe.train.micro_batches
        self._output_shape = plan.graph.output.shape
        self._device = devices.select(recipe.device, recipe.precision)
        devices.configure(recipe.device, self._device)
        self._model = self._build(start)
        self._trainable = [b for b in self._model.bound if b.weight.trainable]
        self._average = (
            MovingAverage(recipe.train.ema, self._model, self._build({})) if recipe.train.ema is not None else None
        )
        self._scale = LossScale() if recipe.precision == "float16" else None
        updates = plan.updates()
        self._optimizer = native_optimizer(recipe.optimizer, self._trainable, updates)
        self._context = forward_context(recipe.precision, self._device)
        self._forward = self._compiled(self._model.module)
        self._averaged = self._compiled(self._average.model.module) if self._average else self._forward
        self._clock = Clock(recipe.seed, recipe.train.portable_dropout, self._device)
        follow_clock(self._model.module, self._clock)
        objectives = self._objectives(updates)
        self._step = Step(
            recipe,
            objectives,
            self._optimizer,
            self._clock,
            self._average,
            self._scale,
            self._device,
        )
        self._loss = None if recipe.loss is None else objectives[0].loss
        self._smallest_batch = smallest_batch(plan.graph, self._micro_batches)
        self._x: torch.Tensor | None = None
        self._target: torch.Tensor | None = None
        self._order: np.ndarray | None = None
        self._batches: tuple[torch.Tensor, ...] = ()

    def _build(self, weights: Mapping[str, np.ndarray]) -> Model:
        precision = self._plan.recipe.precision
        model = build(self._plan.graph, weights, self._device, dtype_of(precision))
        if mixed(precision):
            keep_float32(model.module)
        return model

    def _compiled(self, module: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
        return torch.compile(module) if self._plan.recipe.backend.compile else module

    def _objectives(self, updates: Mapping[str, Update]) -> list[Objective]:
        """What an update consists of: one step for all weights, or those of the recipe's phases."""
        plan, recipe = self._plan, self._plan.recipe
        dtype = dtype_of(recipe.precision)
        steady = not is_native(plan.graph) and not any(is_own(type(node.layer)) for node in plan.graph.nodes)

        def objective(forward: Forward, bound: list[Bound], loss: Loss, outputs: tuple[str, ...]) -> Objective:
            native = native_loss(loss, self._device, dtype, outputs)
            return Objective(forward, [b.tensor for b in bound], native, Rules(bound, updates), steady)

        if recipe.loss is not None:
            return [objective(self._forward, self._trainable, recipe.loss, plan.outputs)]
        found = []
        for phase in recipe.train.phases:
            places = phase.reads(plan.outputs)
            part = GraphModule(plan.graph.reading(tuple(plan.graph.outputs[i] for i in places)), self._model.parts)
            bound = [b for b in self._trainable if fnmatchcase(b.name, phase.weights)]
            names = tuple(plan.outputs[i] for i in places)
            found.append(objective(self._compiled(part), bound, phase.minimised, names))
        return found

    # Data

    def attach(self, x: np.ndarray, y: np.ndarray) -> None:
        """Keep preprocessed training samples resident on the device."""
        with self._memory_errors():
            self._x, self._target = self._samples(x), self._labels(y)
        self._order = None

    def _samples(self, x: np.ndarray) -> torch.Tensor:
        samples = _tensor(x).to(self._device)
        return samples if self._plan.input_dtype == "int64" else samples.to(dtype_of(self._plan.recipe.precision))

    def _labels(self, y: np.ndarray) -> torch.Tensor:
        self._plan.check_labels(y)
        labels = _tensor(y).to(self._device)
        return labels if self._loss is None else self._loss.target(labels, self._output_shape)

    # Training

    def train_resident(self, order: np.ndarray, first_batch: int, first_step: int, rates: np.ndarray) -> np.ndarray:
        """Run ``len(rates)`` updates on resident samples; one host sync."""
        assert self._x is not None and self._target is not None, "attach comes first"
        if order is not self._order:
            self._order = order
            self._batches = torch.from_numpy(np.array(order)).to(self._device).split(self._batch_size)
        batches = self._batches[first_batch : first_batch + len(rates)]
        return self._train(self._selected(batches), first_step, rates)

    def _selected(self, batches: Iterable[torch.Tensor]) -> Iterator[list[Part]]:
        x, target = self._x, self._target
        assert x is not None and target is not None
        select, parts = torch.index_select, self._micro_batches
        for batch in batches:
            self._smallest_batch.check(len(batch))
            pieces = (batch,) if parts == 1 else batch.tensor_split(min(parts, len(batch)))
            yield [(select(x, 0, piece), select(target, 0, piece)) for piece in pieces]

    def train_streamed(self, batches: Sequence[Batch], first_step: int, rates: np.ndarray) -> np.ndarray:
        """Run ``len(rates)`` updates on batches from the host; one host sync."""
        return self._train(self._moved(batches), first_step, rates)

    def _moved(self, batches: Iterable[Batch]) -> Iterator[list[Part]]:
        for x, y in batches:
            self._smallest_batch.check(len(x))
            parts = min(self._micro_batches, len(x))
            yield list(zip(self._samples(x).tensor_split(parts), self._labels(y).tensor_split(parts), strict=True))

    def _train(self, batches: Iterable[list[Part]], first_step: int, rates: np.ndarray) -> np.ndarray:
        if not self._trainable:
            raise RunError("nothing-to-train", "`model.layers` has no layer with weights to train.", path=("model",))
        self._model.module.train()
        losses = []
        with self._memory_errors():
            for step, (parts, rate) in enumerate(zip(batches, rates.tolist(), strict=True), first_step):
                losses.append(self._step(parts, step, rate))
            if not losses:
                return np.zeros(0)
            return torch.stack(losses).cpu().double().numpy()

    # Inference

    def upload(self, x: np.ndarray) -> torch.Tensor:
        """Preprocessed samples on the device, for ``infer``."""
        with self._memory_errors():
            return self._samples(x)

    def infer(self, x: np.ndarray | torch.Tensor) -> np.ndarray:
        """Outputs in evaluation mode, averaged weights if kept."""
        average = self._average
        if average is not None and average.started:
            average.follow()
            module, forward = average.model.module, self._averaged
        else:
            module, forward = self._model.module, self._forward
        module.eval()
        with self._memory_errors(), torch.no_grad():
            with self._context():
                output = forward(to_native(x if isinstance(x, torch.Tensor) else self._samples(x)))
                output = output[0] if isinstance(output, tuple) else output
            return to_canonical(output).to(dtype_of(self._plan.recipe.precision)).cpu().contiguous().numpy()

    # Looking inside

    def gradients(self, batch: Batch, step: int) -> dict[str, np.ndarray]:
        """Gradients of a batch's loss in update ``step + 1``; nothing is changed."""
        with self._unchanged():
            (parts,) = self._moved([batch])
            self._step.backward(parts, step)
            scale = 1.0 if self._scale is None else self._scale.scale
            found = {}
            for b in self._trainable:
                grad = b.tensor.grad
                found[b.name] = b.read(torch.zeros_like(b.tensor) if grad is None else grad / scale)
                b.tensor.grad = None
            return found

    def outputs(self, batch: Batch, step: int) -> dict[str, np.ndarray]:
        """What each layer puts out in the forward pass of update ``step + 1``; nothing is changed."""
        found: dict[str, torch.Tensor] = {}

        def keep(name: str) -> Callable[..., None]:
            return lambda _, inputs, output: found.update({name: output.detach().clone()})

        hooks = [part.register_forward_hook(keep(name)) for name, part in self._model.parts.items()]
        try:
            with self._unchanged(), torch.no_grad(), self._context():
                self._clock.step = step
                self._model.module(to_native(self._samples(batch[0])))
        finally:
            for hook in hooks:
                hook.remove()
        return {name: to_canonical(x).cpu().contiguous().numpy() for name, x in found.items()}

    @contextmanager
    def _unchanged(self) -> Iterator[None]:
        """Training mode without a trace: running statistics are put back."""
        kept = [(b.tensor, b.tensor.detach().clone()) for b in self._model.bound if not b.weight.trainable]
        self._model.module.train()
        try:
            with self._memory_errors():
                yield
        finally:
            with torch.no_grad():
                for tensor, value in kept:
                    tensor.copy_(value)

    def device_memory(self) -> int | None:
        """Bytes of the graphics card's memory in use at most so far; None elsewhere."""
        return torch.cuda.max_memory_allocated(self._device) if self._device.type == "cuda" else None

    # State

    def state(self) -> EngineState:
        """A copy of everything training changes, in canonical names and layout."""
        state = EngineState({b.name: b.read(b.tensor) for b in self._model.bound})
        for b in self._trainable:
            for slot, value in read_slots(self._optimizer, self._plan.recipe.optimizer, b).items():
                state.slots[f"{b.name}/{slot}"] = value
        if self._average is not None and self._average.started:
            self._average.follow()
            state.ema = {b.name: b.read(b.tensor) for b in self._average.model.bound}
        if self._scale is not None:
            state.scalars = self._scale.scalars()
        return state

    def restore(self, state: EngineState) -> None:
        """Replace everything training changes; slots that are missing become zeros.

        Slots and averages that this recipe does not keep are left out.

        Raises:
            DlrunError: ``checkpoint-mismatch`` naming what does not fit; nothing is changed then.
        """
        shapes = {b.name: b.weight.shape for b in self._model.bound}
        spec = self._plan.recipe.optimizer
        sizes = {b.name: spec.slots(b.weight.shape) for b in self._model.bound}
        by_slot: dict[str, dict[str, np.ndarray]] = {}
        for key, value in state.slots.items():
            weight, _, slot = key.rpartition("/")
            scale = state.scalars.get(f"{slot}/scale", 1.0)
            by_slot.setdefault(slot, {})[weight] = value if scale == 1 else value / scale
        refuse(
            [
                *mismatches("weight", state.weights, shapes),
                *mismatches("average of", state.ema, shapes),
                *(
                    m
                    for slot, values in by_slot.items()
                    for m in mismatches(f"`{slot}` of", values, _slot_shapes(slot, shapes, sizes))
                ),
            ]
        )
        load(self._model.bound, state.weights)
        for b in self._trainable:
            for slot in sizes[b.name]:
                write_slot(self._optimizer, spec, b, slot, by_slot.get(slot, {}).get(b.name))
        if self._average is not None:
            self._average.restore(state.ema)
        if self._scale is not None:
            self._scale.restore(state.scalars)

    # Facts

    def describe(self) -> dict[str, Any]:
        """What the results depend on besides the recipe."""
        notes = imitated(self._plan.recipe.precision) if self._device.type == "cpu" else []
        if self._plan.recipe.backend.compile and self._device.type == "cpu":
            notes.append("`backend.compile` costs half a minute at the start and seldom pays off on a CPU.")
        return {
            "device": str(self._device),
            "threads": torch.get_num_threads(),
            "deterministic": torch.are_deterministic_algorithms_enabled(),
            "versions": devices.versions(),
            "parameters": self._plan.graph.parameters,
            "frozen": self._plan.graph.frozen,
            "notes": notes,
        }

    def native(self) -> nn.Module:
        """The module being trained; images are (N, C, H, W)."""
        return self._model.module

    @contextmanager
    def _memory_errors(self) -> Iterator[None]:
        """Tell the user when memory ran out; anything else passes."""
        try:
            yield
        except RuntimeError as error:
            if not isinstance(error, torch.OutOfMemoryError) and "DefaultCPUAllocator" not in str(error):
                raise
            raise RunError(
                "out-of-memory",
                f"`{self._device}` has too little memory for this model and batch.",
                hint="Lower `data.batch_size` (or `data.eval_batch_size`), or raise `train.micro_batches`.",
            ) from error


def _tensor(array: np.ndarray) -> torch.Tensor:
    """A tensor that shares an array's memory, also a read-only one's: nothing here writes to it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writ")
        return torch.from_numpy(np.ascontiguousarray(array))


def _slot_shapes(
    slot: str, weights: Mapping[str, tuple[int, ...]], own: Mapping[str, Mapping[str, tuple[int, ...]]]
) -> dict[str, tuple[int, ...]]:
    """The shape that a slot of each weight has; that of the weight where this recipe does not keep it."""
    return {name: own[name].get(slot, shape) for name, shape in weights.items()}
