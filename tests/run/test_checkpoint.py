"""Checkpoints: what is written is what is read, and nothing damaged is accepted."""

import json
from pathlib import Path

import numpy as np
import pytest

from dlrun.backends.base import EngineState
from dlrun.errors import RunError
from dlrun.run import checkpoint
from dlrun.run.checkpoint import Position


def state(value: float) -> EngineState:
    weight = np.full((3, 2), value, np.float32)
    return EngineState(
        {"a.kernel": weight}, {"a.kernel/exp_avg": weight * 2}, {"a.kernel": weight * 3}, {"loss_scale": 4.0}
    )


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    checkpoint.save(tmp_path, Position(step=1), state(1.0), {"backend": "torch"})
    return checkpoint.save(tmp_path, Position(step=2, epoch=1, best={"step": 2}), state(2.0), {"backend": "torch"})


def test_round_trip(saved: Path) -> None:
    loaded = checkpoint.load(saved)
    assert loaded.position == Position(step=2, epoch=1, best={"step": 2})
    assert loaded.facts == {"backend": "torch"}
    assert loaded.engine.scalars == {"loss_scale": 4.0}
    for name in ("weights", "slots", "ema"):
        expected, found = getattr(state(2.0), name), getattr(loaded.engine, name)
        assert found.keys() == expected.keys()
        assert all((found[k] == expected[k]).all() and found[k].dtype == expected[k].dtype for k in found)
    assert checkpoint.load(saved, training=False).engine.slots == {}


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def alter(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


def alter_state(path: Path) -> None:
    value = json.loads(path.read_text())
    value["position"]["step"] = 7
    path.write_text(json.dumps(value))


@pytest.mark.parametrize(
    ("file", "damage", "says"),
    [
        ("weights.safetensors", truncate, "bytes instead of"),
        ("slots.safetensors", alter, "another SHA-256"),
        ("ema.safetensors", Path.unlink, "cannot be read"),
        ("state.json", truncate, "not complete JSON"),
        ("state.json", alter_state, "was altered"),
        ("state.json", Path.unlink, "cannot be read"),
    ],
)
def test_damage_is_refused_and_the_previous_one_offered(saved: Path, file: str, damage, says: str) -> None:
    damage(saved / file)
    with pytest.raises(RunError, match=says) as caught:
        checkpoint.load(saved)
    assert caught.value.code == "checkpoint-corrupt"
    assert f"resume={saved.parent / 'step-00000001'}" in (caught.value.hint or "")
    damage(saved.parent / "step-00000001" / file)
    with pytest.raises(RunError) as caught:
        checkpoint.load(saved)
    assert "No earlier checkpoint is good" in (caught.value.hint or "")


def test_another_format_is_refused(saved: Path) -> None:
    value = json.loads((saved / "state.json").read_text())
    value["format"] = 99
    (saved / "state.json").write_text(json.dumps(value))
    with pytest.raises(RunError, match="format `99`"):
        checkpoint.load(saved)


def test_prune_keeps_the_latest_and_the_best(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4, 5):
        checkpoint.save(tmp_path, Position(step=step), state(step), {})
    checkpoint.prune(tmp_path, 2, 5, best_step=1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000001", "step-00000004", "step-00000005"]


def test_prune_keeps_what_was_just_written_where_training_goes_on_from_an_older_one(tmp_path: Path) -> None:
    for step in (2, 3, 9):
        checkpoint.save(tmp_path, Position(step=step), state(step), {})
    checkpoint.prune(tmp_path, 1, 3, best_step=None)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000003", "step-00000009"]


def test_a_failed_write_leaves_the_old_one(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(checkpoint, "write_synced", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(saved.parent, Position(step=2), state(9.0), {})
    assert checkpoint.load(saved).engine.weights["a.kernel"][0, 0] == 2.0
    assert not list(saved.parent.glob(".*"))
