"""A schedule that follows validation remembers across checkpoints and frameworks."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlrun.config import compose
from dlrun.run import checkpoint
from dlrun.run.directory import open_run
from dlrun.run.train import train

PLATEAU = ("schedule=reduce_on_plateau", "schedule.patience=0", "schedule.gamma=0.5", "schedule.min_delta=10")


@pytest.fixture(autouse=True)
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def rates(run: Path) -> list[float]:
    return [r["learning_rate"] for r in open_run(run).records() if r["kind"] == "epoch"]


def test_the_rate_falls_and_a_resumed_run_knows_how_often() -> None:
    """No epoch is better by 10: the first sets the mark, each later one is followed by a fall."""
    words = ["recipe=digits", "train.limit_batches=2", "device.threads=1", "optimizer.learning_rate=0.01", *PLATEAU]
    whole = train(compose([*words, "backend=torch", "train.epochs=4"]))
    assert rates(whole.directory) == [0.01, 0.01, 0.005, 0.0025]
    part = train(compose([*words, "backend=torch", "train.epochs=2"]))
    saved = checkpoint.load(open_run(part.directory).checkpoints()[-1])
    assert saved.position.schedule is not None and saved.position.schedule["falls"] == 1
    again = [f"recipe={part.directory}/recipe.yaml", "backend=tensorflow", "train.epochs=4"]
    rest = train(compose(again), resume=part.directory)
    assert rates(rest.directory) == rates(whole.directory)
