"""The training loop: one for every task and every backend."""

from __future__ import annotations

import dataclasses
import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.backends.base import Engine, EngineState
from dlrun.data.feed import Feed
from dlrun.errors import DlrunError, RunError
from dlrun.files import write_atomic, write_json
from dlrun.plan import Plan
from dlrun.run import checkpoint, environment
from dlrun.run.checkpoint import Position
from dlrun.run.curve import draw_curve
from dlrun.run.directory import RunDirectory
from dlrun.run.ending import beats, out_of_patience, to_train_longer
from dlrun.run.evaluate import evaluate_batches, evaluate_split, evaluates
from dlrun.run.events import CheckpointSaved, EpochEnded, Event, Listener, Progress, RunEnded, RunStarted
from dlrun.run.interrupt import Interrupt
from dlrun.run.pace import Pace
from dlrun.run.samples import keep_samples
from dlrun.run.tracker import make_tracker
from dlrun.run.writer import Writer
from dlrun.tasks.task import task_of

if TYPE_CHECKING:
    from dlrun.config import Composed

LOG_STEPS = 50
"""Updates per logged training loss; windows are counted from the run's start."""


@dataclass(frozen=True)
class TrainResult:
    """How a training ended.

    Args:
        directory: The run directory.
        metrics: Last ``train_*`` and ``val_*`` values and ``test_*`` of the chosen checkpoint.
        reason: ``finished``, ``early_stopping`` or ``interrupted``.
        step: Updates completed.
        exit_code: 0, or 130 and 143 after Ctrl-C and SIGTERM.
        longer: Overrides with which a run that has ended goes on, e.g. ``("train.epochs=40",)``.
    """

    directory: Path
    metrics: dict[str, Any] = field(default_factory=dict)
    reason: str = "finished"
    step: int = 0
    exit_code: int = 0
    longer: tuple[str, ...] = ()


class Trainer:
    """One run in progress."""

    def __init__(
        self,
        composed: Composed,
        plan: Plan,
        run: RunDirectory,
        engine: Engine,
        feed: Feed,
        position: Position,
        notes: tuple[str, ...],
    ) -> None:
        self.composed, self.plan, self.recipe = composed, plan, plan.recipe
        self.run, self.engine, self.feed, self.at, self.notes = run, engine, feed, position, notes
        self.listeners: tuple[Listener, ...] = ()
        self.latest: dict[str, Any] = {}
        main = self.recipe.metrics[0].names() if self.recipe.metrics else ()
        self.monitor = self.recipe.train.monitor or (main[0] if main else "loss")
        self.writer = Writer()
        self._validation: list[tuple[Any, np.ndarray]] | None = None
        self._saved_key = -1
        self._waited = 0.0
        """Seconds of this epoch in which training had no batch."""

    # -- the run as a whole ---------------------------------------------------------------

    def run_all(self) -> TrainResult:
        """Train from the current position to the end, evaluate, and close the run."""
        try:
            self._begin()
            with Interrupt() as interrupt:
                reason = self._epochs(interrupt)
                self._saved()
                if reason != "interrupted":
                    self._test(reason)
            return self._end(reason, interrupt.exit_code if reason == "interrupted" else 0)
        finally:
            self.writer.close()
            self.feed.close()

    def _epochs(self, interrupt: Interrupt) -> str:
        while self.at.epoch < self.recipe.train.epochs:
            if out_of_patience(self.plan, self.at):
                self.at.finished = True
                self._save()
                return "early_stopping"
            self._epoch(interrupt)
            if interrupt.signal is not None and self.at.epoch < self.recipe.train.epochs:
                self._save()
                return "interrupted"
        return "finished"  # also when asked to stop once nothing but the test is left

    def _epoch(self, interrupt: Interrupt) -> None:
        """Train to the end of the epoch in progress, then validate and save; or stop early on a signal."""
        started, self._waited = time.perf_counter(), 0.0
        first = self.at.step_in_epoch
        for rates, losses in self._updates():
            self._count(rates, losses)
            if interrupt.signal is not None and self.at.step_in_epoch < self.plan.steps_per_epoch:
                return
        seconds = time.perf_counter() - started
        metrics = {
            "train_loss": self.at.loss_sum / self.at.loss_count,
            "learning_rate": float(self._rates(self.at.step - 1, 1)[0]),
            "train_seconds": seconds,
            **({} if self.feed.resident else {"data_wait_seconds": self._waited}),
            "samples_per_s": self._samples(first, self.plan.steps_per_epoch) / seconds if seconds else 0.0,
            **self._validate(),
        }
        self.at.epoch, self.at.step_in_epoch = self.at.epoch + 1, 0
        self.at.loss_sum, self.at.loss_count = 0.0, 0
        best = self._note_best(metrics)
        self._tell_schedule(metrics)
        metrics["elapsed"] = time.perf_counter() - self._t0
        self._record({"kind": "epoch", "step": self.at.step, "epoch": self.at.epoch, **metrics})
        self.tracker.scalars({k: v for k, v in metrics.items() if k.startswith(("train_loss", "val_"))}, self.at.step)
        self.tracker.flush()
        if task_of(self.recipe.task).pictures:
            keep_samples(self.plan, self.engine, self.run.samples_folder, self.at.epoch)
        self.latest = metrics
        last = self.at.epoch == self.recipe.train.epochs
        self.at.finished = last
        if best or last or self.at.epoch % self.recipe.train.checkpoints.every_epochs == 0 or self._due():
            self._save()
        seconds = time.perf_counter() - started
        self._emit(EpochEnded(self.at.epoch, self.recipe.train.epochs, self.at.step, metrics, seconds, best))

    # -- updates --------------------------------------------------------------------------

    def _updates(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Run the epoch's remaining updates a few at a time; yields their rates and losses."""
        order = self.feed.order(self.at.epoch)
        if self.feed.resident:
            stream = None
        else:
            left = self.plan.steps_per_epoch - self.at.step_in_epoch
            stream = self.feed.batches(self.at.epoch, self.at.step_in_epoch, left)
        while self.at.step_in_epoch < self.plan.steps_per_epoch:
            rates = self._rates(self.at.step, self.pace.next(self._until_pause()))
            started = time.perf_counter()
            if stream is None:
                losses = self.engine.train_resident(order, self.at.step_in_epoch, self.at.step, rates)
            else:
                batches = list(itertools.islice(stream, len(rates)))
                self._waited += time.perf_counter() - started
                losses = self.engine.train_streamed(batches, self.at.step, rates)
            self.pace.took(len(rates), time.perf_counter() - started)
            yield rates, losses

    def _until_pause(self) -> int:
        """Updates left until the epoch ends or a checkpoint is due."""
        left = self.plan.steps_per_epoch - self.at.step_in_epoch
        every = self.recipe.train.checkpoints.every_steps
        return left if every is None else min(left, every - self.at.step % every)

    def _rates(self, first: int, steps: int) -> np.ndarray:
        rate, total = self.recipe.optimizer.learning_rate, self.plan.total_steps
        return self.recipe.schedule.rates(rate, first, steps, total, self.plan.steps_per_epoch, self.at.schedule)

    def _count(self, rates: np.ndarray, losses: np.ndarray) -> None:
        """Account for updates just made: sums one by one, so that they do not depend on the grouping."""
        at, batch, samples = self.at, self.recipe.data.batch_size, self.plan.train_samples
        bad = np.flatnonzero(~np.isfinite(losses))
        if bad.size:
            raise self._not_finite(at.step + int(bad[0]) + 1, f"the loss became {losses[bad[0]]}")
        records = []
        for rate, loss in zip(rates.tolist(), losses.tolist(), strict=True):
            size = min(batch, samples - at.step_in_epoch * batch)
            at.loss_sum += loss * size
            at.loss_count += size
            at.window_sum += loss
            at.window_count += 1
            at.step += 1
            at.step_in_epoch += 1
            if at.step % LOG_STEPS == 0:
                mean = at.window_sum / at.window_count
                at.window_sum, at.window_count = 0.0, 0
                records.append(
                    {"kind": "steps", "step": at.step, "epoch": at.epoch + 1, "loss": mean, "learning_rate": rate}
                )
        for record in records:
            self._record(record)
            self.tracker.scalars({"loss": record["loss"], "learning_rate": record["learning_rate"]}, record["step"])
        self._emit(
            Progress(
                at.epoch + 1,
                at.step_in_epoch,
                self.plan.steps_per_epoch,
                at.step,
                float(losses.mean()),
                float(rates[-1]),
                self.pace.per_second * batch,
            )
        )
        if self._due() and at.step_in_epoch < self.plan.steps_per_epoch:  # at its end, after validation
            self._save()

    def _due(self) -> bool:
        """Whether `checkpoints.every_steps` asks for a checkpoint now."""
        every = self.recipe.train.checkpoints.every_steps
        return every is not None and self.at.step % every == 0

    def _samples(self, first: int, last: int) -> int:
        return min(last * self.recipe.data.batch_size, self.plan.train_samples) - first * self.recipe.data.batch_size

    # -- validation, best, stopping ---------------------------------------------------------

    def _validate(self) -> dict[str, Any]:
        if self.plan.validation_samples == 0 or not evaluates(self.plan):
            return {}
        if self._validation is None and self.feed.holds("validation"):
            batches = self.feed.eval_batches("validation", self.recipe.train.limit_batches)
            self._validation = [(self.engine.upload(x), y) for x, y in batches]
        if self._validation is not None:
            result = evaluate_batches(self.plan, self.engine, self._validation)
        else:
            result = evaluate_split(self.plan, self.engine, self.feed, "validation")
        return {f"val_{key}": value for key, value in result.items()}

    def _note_best(self, metrics: dict[str, Any]) -> bool:
        value = metrics.get(f"val_{self.monitor}")
        if value is None:
            return False
        best = self.at.best
        sign = 1 if self._higher_is_better else -1
        stopping = self.recipe.train.early_stopping
        margin = stopping.min_delta if stopping else 0.0
        if best is None or best["monitor"] != self.monitor or beats(sign * value, sign * best["value"], margin):
            self.at.best = {"step": self.at.step, "monitor": self.monitor, "value": value}
            self.at.stale_epochs = 0
            return True
        self.at.stale_epochs += 1
        return False

    def _tell_schedule(self, metrics: dict[str, Any]) -> None:
        value = metrics.get(f"val_{self.monitor}")
        if value is not None:
            self.at.schedule = self.recipe.schedule.observe(self.at.schedule, value, self._higher_is_better)

    @property
    def _higher_is_better(self) -> bool:
        return any(self.monitor in metric.names() and metric.better == "higher" for metric in self.recipe.metrics)

    def _test(self, reason: str) -> None:
        """Evaluate the chosen checkpoint on the test split; a run whose test cannot be read ends without."""
        if "test" not in self.plan.signature.sizes or not evaluates(self.plan):
            return
        chosen = self.run.default_checkpoint()
        if chosen.name != f"step-{self.at.step:08d}":
            self.engine.restore(checkpoint.load(chosen, training=False).engine)
        try:
            result = evaluate_split(self.plan, self.engine, self.feed, "test")
        except DlrunError as error:
            self._end(reason, 0)
            error.hint = f"{error.hint or ''} Training is done; then: dlrun eval {self.run.path}".strip()
            raise
        self.latest = self.latest | {f"test_{key}": value for key, value in result.items()}

    # -- writing ----------------------------------------------------------------------------

    def _begin(self) -> None:
        from dlrun.config import dump

        self._t0 = time.perf_counter()
        self.pace = Pace(self.recipe.train.chunk_steps)
        write_atomic(self.run.recipe_file, dump(self.composed.values).encode())
        write_json(self.run.path / "overrides.json", list(self.composed.overrides))
        self.session = environment.session(
            self.recipe, self.engine, self.at.step, self.composed.overrides, self.feed.fingerprint()
        )
        self.run.record_session(self.session)
        self.metrics_file = open(self.run.metrics_file, "a", encoding="utf-8")  # noqa: SIM115 - closed in _end
        self.tracker = make_tracker(self.recipe.tracker.name, self.run.path / "tensorboard")
        if self.at.best is not None:
            write_json(self.run.path / "best.json", self.at.best)
        else:
            (self.run.path / "best.json").unlink(missing_ok=True)  # of epochs that are made again
        self.latest = self._last_epoch()
        if self.feed.resident:
            self.engine.attach(self.feed.x, self.feed.y)
        described = self.engine.describe()
        self._emit(
            RunStarted(
                str(self.run.path),
                self.recipe.name,
                self.recipe.backend.name,
                described["device"],
                self.recipe.train.epochs,
                self.plan.steps_per_epoch,
                self.at.step,
                described["parameters"],
                self.plan.train_samples,
                self.plan.validation_samples,
                (*self.notes, *described.get("notes", ())),
                described["frozen"],
            )
        )

    def _last_epoch(self) -> dict[str, Any]:
        """The values of the last epoch completed, for a run that may end before the next."""
        epochs = [r for r in self.run.records() if r["kind"] == "epoch"]
        return {k: v for k, v in epochs[-1].items() if k not in ("kind", "step", "epoch")} if epochs else {}

    def _record(self, record: dict[str, Any]) -> None:
        self.metrics_file.write(json.dumps(record) + "\n")
        self.metrics_file.flush()

    def _save(self) -> None:
        """Write a checkpoint unless this step has one; the engine's weights must be finite."""
        key = self.at.step * 2 + int(self.at.finished)
        if key == self._saved_key:
            return
        self._saved()
        state = self.engine.state()
        wrong = [name for name, value in state.weights.items() if not np.isfinite(value).all()]
        if wrong:
            raise self._not_finite(self.at.step, f"weight `{wrong[0]}` became infinite or not a number")
        facts = {**self.session, "total_steps": self.plan.total_steps, "steps_per_epoch": self.plan.steps_per_epoch}
        position = dataclasses.replace(self.at)
        self.writer.start(lambda: self._write(position, state, facts))
        self._saved_key = key

    def _write(self, position: Position, state: EngineState, facts: dict[str, Any]) -> CheckpointSaved:
        """Checkpoint, pointer to the best one, and room for the next; runs beside training."""
        folder, best = self.run.checkpoint_folder, position.best
        path = checkpoint.save(folder, position, state, facts)
        if best is not None:
            write_json(self.run.path / "best.json", best)
        checkpoint.prune(folder, self.recipe.train.checkpoints.keep, position.step, best["step"] if best else None)
        return CheckpointSaved(str(path), position.step)

    def _saved(self) -> None:
        """Wait for the checkpoint being written, if there is one, and say that it is there."""
        event = self.writer.wait()
        if event is not None:
            self._emit(event)

    def _end(self, reason: str, exit_code: int) -> TrainResult:
        self.metrics_file.close()
        self.tracker.scalars({k: v for k, v in self.latest.items() if k.startswith("test_")}, self.at.step)
        self.tracker.close()
        seconds = time.perf_counter() - self._t0
        records = self.run.records()
        if any(r["kind"] == "epoch" for r in records):
            title = f"{self.recipe.name} · {self.recipe.backend.name} · seed {self.recipe.seed}"
            draw_curve(self.run.path / "learning_curve.svg", records, self.monitor, title)
        result = {
            "reason": reason,
            "step": self.at.step,
            "epoch": self.at.epoch,
            "best": self.at.best,
            "metrics": self.latest,
            "seconds": seconds,
        }
        write_json(self.run.path / "result.json", result)
        self._emit(RunEnded(str(self.run.path), reason, self.at.step, self.latest, seconds))
        longer = to_train_longer(self.plan, self.at)
        return TrainResult(self.run.path, self.latest, reason, self.at.step, exit_code, longer)

    def _emit(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)

    def _not_finite(self, step: int, what: str) -> RunError:
        self._saved()
        saved = self.run.checkpoints()
        rate = self.recipe.optimizer.learning_rate
        good = f"Last good checkpoint: {saved[-1]}. " if saved else "No checkpoint had been written yet. "
        return RunError(
            "loss-not-finite",
            f"{what} at update {step} (epoch {self.at.epoch + 1}); training stopped.",
            hint=good + f"Lower `optimizer.learning_rate` (now {rate:g}) or set `train.clip_norm: 1.0`.",
        )
