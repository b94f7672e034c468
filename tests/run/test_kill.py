"""A run killed with SIGKILL and resumed ends with the same bits as one that never was."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "dying_train.py"
RECIPE = [
    "recipe=mnist",
    "model.layers.conv2d_1.filters=4",
    "model.layers.conv2d_2.filters=8",
    "data.batch_size=32",
    "train.epochs=3",
    "train.limit_batches=150",
    "train.checkpoints.every_steps=35",
    "device.threads=2",
    "data.validation=500",
    "train.ema=0.9",
]


def run(trap: str, count: int, *args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), trap, str(count), "train", *args]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)


def arrays(folder: Path) -> dict[str, bytes]:
    last = sorted((folder / "checkpoints").glob("step-*"))[-1]
    assert last.name == "step-00000450"
    return {p.name: p.read_bytes() for p in last.glob("*.safetensors")}


def reference(backend: str, cwd: Path) -> dict[str, bytes]:
    done = run("none", 0, *RECIPE, f"backend={backend}", "output.name=whole", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return arrays(cwd / "outputs/mnist/whole")


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_killed_around_checkpoint_writes(backend: str, data_root: Path, tmp_path: Path) -> None:
    expected = reference(backend, tmp_path)
    assert set(expected) == {"weights.safetensors", "slots.safetensors", "ema.safetensors"}
    folder = tmp_path / "outputs/mnist/killed"
    traps = [("before", 2), ("torn", 2), ("between", 1), ("between", 3), ("renamed", 1), ("pruning", 2)]
    died = run("before", 2, *RECIPE, f"backend={backend}", "output.name=killed", cwd=tmp_path)
    assert died.returncode == -9, died.stderr
    for trap, count in traps[1:]:
        died = run(trap, count, f"resume={folder}", cwd=tmp_path)
        assert died.returncode == -9, (trap, died.stderr)
    done = run("none", 0, f"resume={folder}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "bit" not in done.stderr, done.stderr
    assert arrays(folder) == expected
    assert not list((folder / "checkpoints").glob(".*"))


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_killed_at_ten_random_moments(backend: str, data_root: Path, tmp_path: Path) -> None:
    expected = reference(backend, tmp_path)
    folder = tmp_path / "outputs/mnist/killed"
    moments = random.Random(backend)
    args = [*RECIPE, f"backend={backend}", "output.name=killed"]
    for death in range(10):  # each life ends within 50 of the 450 updates, so there are ten
        chunk = f"train.chunk_steps={moments.choice([1, 2, 3, 5])}"
        died = run("moment", moments.randint(1, 40), *args, chunk, cwd=tmp_path)
        assert died.returncode == -9, (death, died.returncode, died.stderr)
        if list((folder / "checkpoints").glob("step-*")):
            args = [f"resume={folder}"]
        else:
            folder.rename(folder.with_name(f"no-checkpoint-{death}"))
    done = run("none", 0, *args, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert arrays(folder) == expected
