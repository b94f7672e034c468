"""Training as a user runs it, on the embedded digits, on both backends."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dlrun.config import compose
from dlrun.errors import DlrunError, DlrunErrors, RunError
from dlrun.run.directory import open_run
from dlrun.run.ending import beats
from dlrun.run.evaluate import evaluate
from dlrun.run.events import EpochEnded, Event, Note, RunEnded, RunStarted
from dlrun.run.predict import predict
from dlrun.run.train import train

BACKENDS = ["torch", "tensorflow"]


@pytest.fixture(autouse=True)
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def digits(backend: str, *overrides: str):
    return compose(["recipe=digits", f"backend={backend}", "device.threads=2", *overrides])


def resumed(run: Path, *overrides: str, listeners=()):
    return train(compose([f"recipe={run}/recipe.yaml", *overrides]), listeners, resume=run)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_leaves_what_is_promised(backend: str) -> None:
    events: list[Event] = []
    result = train(digits(backend, "train.epochs=2"), [events.append])
    files = {p.name for p in result.directory.iterdir()}
    assert {"recipe.yaml", "overrides.json", "environment.json", "metrics.jsonl", "checkpoints", "tensorboard"} <= files
    assert "<svg" in (result.directory / "learning_curve.svg").read_text()
    assert result.reason == "finished"
    assert {"train_loss", "val_loss", "val_accuracy", "test_loss", "test_accuracy"} <= result.metrics.keys()
    assert isinstance(events[0], RunStarted) and isinstance(events[-1], RunEnded)
    assert [e.epoch for e in events if isinstance(e, EpochEnded)] == [1, 2]
    session = json.loads((result.directory / "environment.json").read_text())["sessions"][0]
    assert session["backend"] == backend and session["seed"] == 0
    # TensorFlow's are fixed with the first thing that a process runs
    assert session["threads"] == 2 or any("`device.threads` changed nothing" in note for note in events[0].notes)
    other = BACKENDS[1 - BACKENDS.index(backend)]
    here, there = evaluate(result.directory), evaluate(result.directory, overrides=[f"backend={other}"])
    assert here.metrics["accuracy"] == there.metrics["accuracy"] == result.metrics["test_accuracy"]
    assert there.backend == other


@pytest.mark.parametrize("backend", BACKENDS)
def test_it_learns(backend: str) -> None:
    result = train(digits(backend))
    assert result.metrics["test_accuracy"] > 0.9


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_exploding_loss_stops_with_step_and_checkpoint(backend: str) -> None:
    composed = digits(backend, "train.epochs=1", "output.name=boom")
    good = train(composed)
    with pytest.raises(RunError) as caught:
        resumed(good.directory, "train.epochs=3", "optimizer.learning_rate=1e30")
    assert caught.value.code == "loss-not-finite"
    assert "at update" in caught.value.message
    assert str(good.directory) in (caught.value.hint or "") and "learning_rate" in (caught.value.hint or "")
    assert open_run(good.directory).checkpoints()[-1].name.endswith(f"{good.step:08d}")


def test_early_stopping_and_best_checkpoint() -> None:
    stop = "train.early_stopping={patience: 2, min_delta: 0.9}"
    result = train(digits("torch", "train.epochs=20", stop))
    assert result.reason == "early_stopping"
    records = [r for r in open_run(result.directory).records() if r["kind"] == "epoch"]
    assert len(records) == 3
    best = open_run(result.directory).best()
    assert best is not None and best["step"] == records[0]["step"] and best["monitor"] == "accuracy"


def test_resume_after_the_end_says_how_to_go_on() -> None:
    result = train(digits("torch", "train.epochs=1"))
    with pytest.raises(DlrunError) as caught:
        resumed(result.directory)
    assert caught.value.code == "already-finished" and "train.epochs=" in (caught.value.hint or "")
    notes: list[Event] = []
    more = resumed(result.directory, "train.epochs=2", listeners=[notes.append])
    assert more.directory == result.directory and more.step == 2 * result.step
    started = next(e for e in notes if isinstance(e, RunStarted))
    assert any("now spans" in n for n in started.notes) and not any("bit" in n for n in started.notes)
    assert not [e for e in notes if isinstance(e, Note) and "bit" in e.text]


def test_resume_on_the_other_backend_goes_on_and_says_so() -> None:
    result = train(digits("torch", "train.epochs=1"))
    events: list[Event] = []
    more = resumed(result.directory, "train.epochs=2", "backend=tensorflow", listeners=[events.append])
    assert more.step == 2 * result.step
    assert any("backend torch -> tensorflow" in n for n in events[0].notes)


def test_resume_refuses_another_model_or_data() -> None:
    result = train(digits("torch", "train.epochs=1"))
    with pytest.raises(DlrunErrors) as caught:
        resumed(result.directory, "train.epochs=2", "seed=5", "data.batch_size=7")
    assert [e.code for e in caught.value.errors] == ["resume-changes-run"] * 2
    text = str(caught.value)
    assert "`seed`" in text and "`data.batch_size`" in text and "Allowed: " in text and "train.*" in text


def test_going_on_from_an_older_checkpoint_branches() -> None:
    result = train(digits("torch", "train.epochs=2", "train.checkpoints.keep=5"))
    older = open_run(result.directory).checkpoints()[0]
    before = {p.name for p in (result.directory / "checkpoints").iterdir()}
    branch = train(compose([f"recipe={result.directory}/recipe.yaml"]), resume=older)
    assert branch.directory != result.directory
    assert {p.name for p in (result.directory / "checkpoints").iterdir()} == before
    assert branch.metrics["test_accuracy"] == result.metrics["test_accuracy"]


def test_predict_reads_images(tmp_path: Path) -> None:
    from PIL import Image

    from dlrun.data.source import Place

    composed = digits("torch")
    result = train(composed)
    samples = composed.recipe.data.source.load("test", Place())
    folder = tmp_path / "Bilder mit Ümlaut"
    folder.mkdir()
    for i in range(20):
        scaled = (samples.x[i, ..., 0].astype(float) * 255 / 16).round().astype("uint8")
        Image.fromarray(scaled).save(folder / f"{i:02d}-é.png")
    predictions = predict(result.directory, [folder])
    right = sum(p.answer.said["label"] == str(y) for p, y in zip(predictions, samples.y[:20], strict=True))
    assert right >= 17
    assert all(
        len(p.answer.said["top"]) == 5 and sum(t["score"] for t in p.answer.said["top"]) <= 1.0001 for p in predictions
    )


def start(*args: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dlrun", "train", "recipe=digits", "device.threads=2", *args]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_records(run: Path) -> None:
    for _ in range(600):
        if (run / "metrics.jsonl").exists() and (run / "metrics.jsonl").read_text().count("\n") > 2:
            return
        time.sleep(0.1)
    raise AssertionError("the run did not start")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("backend", BACKENDS)
def test_signals_save_and_exit(backend: str, number: int, code: int, tmp_path: Path) -> None:
    process = start(f"backend={backend}", "train.epochs=5000", "output.name=run")
    run = tmp_path / "outputs/digits/run"
    wait_for_records(run)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == code, stderr
    assert "Traceback" not in stderr and "resume=" in stderr
    last = open_run(run).checkpoints()[-1]
    assert json.loads((last / "state.json").read_text())["position"]["step"] == int(last.name[5:])


def test_two_processes_never_write_one_run(tmp_path: Path) -> None:
    process = start("backend=torch", "train.epochs=5000", "output.name=run", "train.checkpoints.every_steps=10")
    run = tmp_path / "outputs/digits/run"
    try:
        wait_for_records(run)
        with pytest.raises(RunError) as caught:
            resumed(run)
        assert caught.value.code == "run-locked"
    finally:
        process.kill()
        process.communicate()


def test_a_full_disk_stops_cleanly(tmp_path: Path) -> None:
    train(digits("torch", "train.epochs=1", "output.name=run"))
    run = tmp_path / "outputs/digits/run"
    size = max(p.stat().st_size for p in run.rglob("*.safetensors"))
    command = [sys.executable, "-m", "dlrun", "train", f"resume={run}", "train.epochs=3"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size - 100, size - 100)),
    )
    assert done.returncode == 1, done.stderr
    assert "disk-full" in done.stderr and "Traceback" not in done.stderr
    assert not list((run / "checkpoints").glob(".*"))
    assert resumed(run, "train.epochs=3").reason == "finished"


def test_an_output_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(DlrunError) as caught:
        train(digits("torch", "output.root=taken"))
    assert caught.value.code == "output-not-writable" and "`taken`" in caught.value.message


def test_not_a_run_names_runs_nearby() -> None:
    with pytest.raises(DlrunError) as caught:
        open_run("outputs/nothing")
    assert caught.value.code == "not-a-run"
    assert os.path.isdir(".")


def test_curves_are_readable_by_tensorboard() -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = train(digits("torch", "train.epochs=3"))
    events = EventAccumulator(str(result.directory / "tensorboard"))
    events.Reload()
    assert {"loss", "learning_rate", "train_loss", "val_accuracy", "test_accuracy"} <= set(events.Tags()["scalars"])
    assert [e.step for e in events.Scalars("val_accuracy")] == [22, 44, 66]
    assert events.Scalars("test_accuracy")[0].value == pytest.approx(result.metrics["test_accuracy"])


def test_a_checkpoint_every_few_steps_at_the_end_of_an_epoch_too() -> None:
    words = ["train.epochs=3", "train.limit_batches=2", "data.validation=0", "train.early_stopping=null"]
    kept = ["train.checkpoints.every_steps=2", "train.checkpoints.every_epochs=9", "train.checkpoints.keep=9"]
    result = train(digits("torch", *words, *kept))
    steps = sorted(int(p.name[5:]) for p in (result.directory / "checkpoints").iterdir())
    assert steps == [2, 4, 6]


def test_any_number_beats_one_that_is_none() -> None:
    nan = float("nan")
    assert beats(0.1, nan, 0.5) and not beats(nan, 0.1, 0.0) and not beats(nan, nan, 0.0)
    assert beats(0.7, 0.1, 0.5) and not beats(0.6, 0.1, 0.5)
