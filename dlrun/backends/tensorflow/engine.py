"""A compiled model with its optimizer on a device: moves data in, state in and out, and calls ``Step``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlrun.backends.base import Batch, EngineState
from dlrun.backends.mismatch import mismatches, refuse
from dlrun.backends.processor import imitated
from dlrun.backends.tensorflow import device as devices
from dlrun.backends.tensorflow import weights
from dlrun.backends.tensorflow.ema import MovingAverage
from dlrun.backends.tensorflow.foreign import realised
from dlrun.backends.tensorflow.losses import lower_loss
from dlrun.backends.tensorflow.lowering import scope_name
from dlrun.backends.tensorflow.model import Part, build
from dlrun.backends.tensorflow.optimizers import lower_optimizer
from dlrun.backends.tensorflow.precision import LossScale
from dlrun.backends.tensorflow.programs import Programs
from dlrun.backends.tensorflow.rules import Rules
from dlrun.backends.tensorflow.step import Objective, Step
from dlrun.errors import RunError
from dlrun.graph.batch import smallest_batch
from dlrun.models.native import is_native
from dlrun.plan import Plan
from dlrun.randomness import derive, step_keys
from dlrun.update import Update


class TensorFlowEngine:
    """See ``dlrun.backends.base.Engine``.

    Raises:
        DlrunError: When the device is not there.
    """

    def __init__(self, plan: Plan) -> None:
        recipe = plan.recipe
        self._plan = plan
        self._device = devices.select(recipe.device)
        self._notes = devices.configure(recipe.device, self._device)
        start = plan.initial_weights()
        with self._on_device():
            self._plan = plan = realised(plan)
            self._network = build(plan.graph, recipe.precision, recipe.name, recipe.train.portable_dropout)
            self._weights = self._network.weights
            weights.load(self._weights, start)
            trainable = {name: self._weights[name] for name, w in plan.graph.weights() if w.trainable}
            updates = plan.updates()
            self._rule = lower_optimizer(recipe.optimizer, trainable, updates)
            self._average = None if recipe.train.ema is None else MovingAverage(recipe.train.ema, trainable)
            self._scale = LossScale() if recipe.precision == "float16" else None
        self._smallest_batch = smallest_batch(plan.graph, recipe.train.micro_batches)
        exact = self._device != "cpu" and devices.deterministic()
        objectives = self._objectives(updates, exact)
        step = Step(recipe.train, self._network, objectives, self._rule, self._average, self._scale)
        self._programs = Programs(plan, self._network, step, self._average)
        self._layer_keys = [derive(recipe.seed, "dropout", name) for name in self._network.dropouts]
        self._x: tf.Tensor | None = None
        self._y: tf.Tensor | None = None
        self._order: np.ndarray | None = None
        self._order_on_device: tf.Tensor | None = None

    def _objectives(self, updates: Mapping[str, Update], exact: bool) -> list[Objective]:
        """What an update consists of: one step for all weights, or those of the recipe's phases."""
        plan, recipe = self._plan, self._plan.recipe
        if recipe.loss is not None:
            loss = lower_loss(recipe.loss, plan.array_dtype, exact, plan.outputs)
            several = len(plan.outputs) > 1 and not is_native(plan.graph)
            model = Part(self._network, plan.graph) if several else self._network.model
            return [Objective(model, self._rule.weights, loss, Rules(self._rule.weights, updates))]
        found = []
        for phase in recipe.train.phases:
            places = phase.reads(plan.outputs)
            part = Part(self._network, plan.graph.reading(tuple(plan.graph.outputs[i] for i in places)))
            weights = {name: w for name, w in self._rule.weights.items() if fnmatchcase(name, phase.weights)}
            loss = lower_loss(phase.minimised, plan.array_dtype, exact, tuple(plan.outputs[i] for i in places))
            found.append(Objective(part, weights, loss, Rules(weights, updates)))
        return found

    def attach(self, x: np.ndarray, y: np.ndarray) -> None:
        """Keep preprocessed training samples resident on the device."""
        with self._on_device():
            self._x, self._y = self._upload(x, y)
        self._order = None

    def train_resident(self, order: np.ndarray, first_batch: int, first_step: int, rates: np.ndarray) -> np.ndarray:
        """Run ``len(rates)`` updates on resident samples; returns their losses."""
        assert self._x is not None, "attach comes first"
        size, last = self._plan.recipe.data.batch_size, first_batch + len(rates) - 1
        self._check([min(size, len(order) - last * size)])
        with self._on_device():
            if order is not self._order:
                self._order, self._order_on_device = order, tf.constant(order, tf.int64)
            scalars, keys = self._per_step(first_step, rates)
            losses = self._programs.resident(self._x, self._y, self._order_on_device, first_batch, scalars, keys)
            return np.asarray(losses, np.float64)

    def train_streamed(self, batches: Sequence[Batch], first_step: int, rates: np.ndarray) -> np.ndarray:
        """Run an update on each batch; returns their losses."""
        self._check([len(x) for x, _ in batches])
        with self._on_device():
            scalars, keys = self._per_step(first_step, rates)
            losses = [
                self._programs.step(*self._upload(*batch), tf.constant(scalars[i]), tf.constant(keys[i]))
                for i, batch in enumerate(batches)
            ]
            return np.array([loss.numpy() for loss in losses], np.float64)

    def upload(self, x: np.ndarray) -> tf.Tensor:
        """Preprocessed samples on the device, for ``infer``."""
        with self._on_device():
            return tf.constant(x, self._plan.input_dtype)

    def infer(self, x: np.ndarray | tf.Tensor) -> np.ndarray:
        """Outputs in evaluation mode, EMA weights if kept."""
        with self._on_device():
            averaged = self._average is not None and self._average.started
            forward = self._programs.averaged if averaged else self._programs.forward
            return forward(x if tf.is_tensor(x) else self.upload(x)).numpy()

    def gradients(self, batch: Batch, step: int) -> dict[str, np.ndarray]:
        """Gradients of a batch's loss in update ``step + 1``; nothing is changed."""
        self._check([len(batch[0])])
        with self._on_device(), self._unchanged():
            found = self._programs.gradients(*self._upload(*batch), tf.constant(self._keys(step, 1)[0]))
            return {name: g.numpy() for name, g in zip(self._rule.weights, found, strict=True)}

    def outputs(self, batch: Batch, step: int) -> dict[str, np.ndarray]:
        """What each layer puts out in the forward pass of update ``step + 1``; nothing is changed."""
        model, names = self._network.model, [node.name for node in self._plan.graph.nodes]
        every = keras.Model(model.inputs, [model.get_layer(scope_name(name)).output for name in names])
        with self._on_device(), self._unchanged():
            with self._network.draws.at(tf.constant(self._keys(step, 1)[0]), 0, 0):
                found = every(self.upload(batch[0]), training=True)
            return {name: x.numpy() for name, x in zip(names, found, strict=True)}

    @contextmanager
    def _unchanged(self) -> Iterator[None]:
        """Put running statistics back afterwards."""
        kept = weights.read({name: w for name, w in self._weights.items() if name not in self._rule.weights})
        try:
            yield
        finally:
            weights.write(self._weights, kept)

    def device_memory(self) -> int | None:
        """Bytes of the graphics card's memory in use at most so far; None elsewhere."""
        if self._device == "cpu":
            return None
        return int(tf.config.experimental.get_memory_info(devices.scope(self._device).strip("/"))["peak"])

    def state(self) -> EngineState:
        """A copy of everything training changes."""
        ema = {}
        if self._average is not None and self._average.started:
            ema = weights.read(self._weights | self._average.averages)
        scalars = {} if self._scale is None else self._scale.scalars()
        scalars |= {f"{slot}/scale": scale for slot, scale in self._rule.slot_scales().items()}
        return EngineState(weights.read(self._weights), weights.read(self._rule.slots), ema, scalars)

    def restore(self, state: EngineState) -> None:
        """Replace everything training changes; slots that are missing become zeros.

        Slots and averages that this recipe does not keep are left out.

        Raises:
            DlrunError: ``checkpoint-mismatch`` naming what does not fit; nothing is changed then.
        """
        owners = {slot: self._weights.get(slot.rpartition("/")[0]) for slot in state.slots}
        kept = {slot: self._rule.slots.get(slot, owner) for slot, owner in owners.items() if owner is not None}
        shapes = weights.shapes(self._weights)
        refuse(
            [
                *mismatches("weight", state.weights, shapes),
                *mismatches("slot", state.slots, weights.shapes(kept)),
                *mismatches("average of", state.ema, shapes),
            ]
        )
        weights.write(self._weights, state.weights)
        own = self._rule.slot_scales()
        for name, slot in self._rule.slots.items():
            if name not in state.slots:
                self._rule.clear(name)
                continue
            kind = name.rpartition("/")[2]
            factor = own.get(kind, 1.0) / state.scalars.get(f"{kind}/scale", 1.0)
            slot.assign(state.slots[name] if factor == 1 else state.slots[name] * factor)
        if self._average is not None:
            for name, average in self._average.averages.items():
                average.assign(state.ema[name] if name in state.ema else self._weights[name])
            self._average.started = bool(state.ema)
        if self._scale is not None:
            self._scale.restore(state.scalars)

    def describe(self) -> dict[str, Any]:
        """What was used, JSON-ready."""
        slow = imitated(self._plan.recipe.precision) if self._device == "cpu" else []
        return {
            "device": self._device,
            "threads": devices.threads(),
            "deterministic": devices.deterministic(),
            "versions": devices.versions(),
            "parameters": self._plan.graph.parameters,
            "frozen": self._plan.graph.frozen,
            "notes": [*self._notes, *slow, *self._programs.notes(self._device)],
        }

    def native(self) -> keras.Model:
        """The Keras model itself."""
        return self._network.model

    @contextmanager
    def _on_device(self) -> Iterator[None]:
        try:
            with tf.device(devices.scope(self._device)):
                yield
        except tf.errors.ResourceExhaustedError as error:
            raise RunError(
                "out-of-memory",
                f"`{self._device}` has too little memory for this model and batch.",
                hint="Lower `data.batch_size` (or `data.eval_batch_size`), or raise `train.micro_batches`.",
            ) from error
        except tf.errors.OpError as error:
            if not self._plan.recipe.backend.compile:
                raise
            raise RunError(
                "compile-failed",
                f"XLA cannot run this model: {error.message.splitlines()[0]}",
                path=("backend", "compile"),
                hint="Set `backend.compile: false`.",
            ) from error

    def _upload(self, x: np.ndarray, y: np.ndarray) -> tuple[tf.Tensor, tf.Tensor]:
        self._plan.check_labels(y)
        return tf.constant(x, self._plan.input_dtype), tf.constant(y, self._programs.target_dtype)

    def _per_step(self, first_step: int, rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Optimizer scalars, float64 (steps, k), and dropout keys, uint64 (steps, layers)."""
        scalars = [self._rule.scalars(first_step + i + 1, float(rate)) for i, rate in enumerate(rates)]
        return np.array(scalars, np.float64), self._keys(first_step, len(rates))

    def _keys(self, first_step: int, steps: int) -> np.ndarray:
        """Dropout keys, uint64 (steps, layers)."""
        keys = np.empty((steps, len(self._layer_keys)), np.uint64)
        for i, key in enumerate(self._layer_keys):
            keys[:, i] = step_keys(key, first_step, steps)
        return keys

    def _check(self, sizes: Iterable[int]) -> None:
        """Refuse to train nothing, or on a batch that is too small."""
        if not self._rule.weights:
            raise RunError("nothing-to-train", "`model.layers` has no layer with weights to train.", path=("model",))
        for size in sizes:
            self._smallest_batch.check(size)
