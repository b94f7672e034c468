"""Drawing a run's events."""

from __future__ import annotations

import dataclasses
import io
import time

import pytest
from rich.console import Console

from dlrun.cli.progress import Bar, Lines
from dlrun.run.events import CheckpointSaved, EpochEnded, Note, Progress, RunEnded, RunStarted

START = RunStarted("outputs/digits/x", "digits", "torch", "cpu", 3, 12, 0, 5130, 1297, 200, notes=("take care.",))
EPOCH = EpochEnded(1, 3, 12, {"train_loss": 0.5, "val_accuracy": 0.987654, "learning_rate": 1e-3}, 75.2, True)


def step(n: int) -> Progress:
    return Progress(1, n, 12, n, 0.25, 1e-3, 12345.6)


def console(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=120, highlight=False, legacy_windows=False)


def written(on: Console) -> str:
    return on.file.getvalue()


def test_lines_say_what_begins_and_each_epoch():
    on = console(False)
    listener = Lines(on)
    for event in (START, step(1), CheckpointSaved("p", 12), Note("schedule changed."), EPOCH, RunEnded("d", "f", 36)):
        listener(event)
    text = written(on)
    assert "digits on torch (cpu): 5,130 parameters, 1,297 samples for training, 200 for validation" in text
    assert "3 epochs of 12 steps" in text
    assert "note: schedule changed." in text
    assert "epoch 1/3  train_loss 0.5000  val_accuracy 0.9877  1:15  best\n" in text
    assert "step 1/12" not in text  # ten seconds have not passed
    assert "\x1b" not in text


def test_frozen_parameters_are_told_apart():
    on = console(False)
    Lines(on)(dataclasses.replace(START, frozen=1168))
    assert "5,130 parameters and 1,168 frozen, 1,297 samples" in written(on)


def test_lines_between_epochs_come_at_most_every_ten_seconds(monkeypatch):
    on = console(False)
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    listener = Lines(on)
    listener(START)
    for n in range(1, 11):
        now = 100.0 + 3 * n
        listener(step(n))
    shown = [line for line in written(on).splitlines() if "step" in line and "epoch " in line]
    assert [line.split("step ")[1].split("/")[0] for line in shown] == ["4", "8"]
    assert "loss 0.2500  rate 1.00e-03  12,346 samples/s" in shown[0]
    assert "1:36 left" in shown[0]  # 4 steps in 12 s, 32 to go


def test_quiet_lines_keep_only_notes():
    on = console(False)
    listener = Lines(on, quiet=True)
    for event in (START, step(1), Note("schedule changed."), EPOCH):
        listener(event)
    assert written(on) == "note: schedule changed.\n"


def test_the_bar_is_redrawn_a_few_times_a_second_at_most():
    on = console(True)
    listener = Bar(on)
    listener(START)
    before = written(on)
    began = time.monotonic()
    events = 0
    while time.monotonic() - began < 0.5:
        listener(step(1 + events % 12))
        events += 1
    drawn = written(on)[len(before) :].count("loss 0.2500")
    listener(EPOCH)
    listener.close()
    assert events > 100
    assert 1 <= drawn <= 5
    assert "val_accuracy 0.9877" in written(on)


@pytest.mark.parametrize("terminal", [True, False])
def test_an_event_costs_next_to_nothing(terminal):
    listener = Bar(console(True)) if terminal else Lines(console(False))
    listener(START)
    event = step(3)
    began = time.perf_counter()
    for _ in range(2000):
        listener(event)
    seconds = time.perf_counter() - began
    listener.close()
    assert seconds < 0.1  # 50 microseconds each, mostly a look at the clock


@pytest.mark.parametrize(("waited", "said"), [(4.9, False), (20.0, True)])
def test_an_epoch_says_when_it_waited_for_data(waited, said):
    on = console(False)
    metrics = {**EPOCH.metrics, "train_seconds": 100.0, "data_wait_seconds": waited}
    Lines(on)(dataclasses.replace(EPOCH, metrics=metrics))
    assert ("  waits for data 20%" in written(on)) == said
