"""Augmented pictures read while training: the same run for any number of processes, and after being killed."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).parent / "dying_train.py"
RECIPE = """\
data:
  source: {name: image_folder, train: pictures, test: null, size: 48}
  batch_size: 8
  memory_mb: 1
  validation: 24
  sampling: balanced
  augment: [{random_crop: {padding: 4}}, random_flip, {mixup: {alpha: 0.4}}]
  preprocess: [normalize]
model:
  layers: [{conv2d: {filters: 4, kernel: 3, stride: 4, activation: relu}}, flatten, dense]
optimizer: {name: sgd, learning_rate: 0.05, momentum: 0.9}
train: {epochs: 2, checkpoints: {every_steps: 5}}
device: {threads: 2}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 200 pictures of three classes and a recipe for them."""
    folder, rng = tmp_path_factory.mktemp("augmented"), np.random.default_rng(0)
    for number in range(200):
        home = folder / "pictures" / ("many", "some", "few")[0 if number % 10 < 7 else 1 if number % 10 < 9 else 2]
        home.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (50, 40, 3), dtype=np.uint8)).save(home / f"{number:03}.png")
    (folder / "pictures.yaml").write_text(RECIPE)
    return folder


def train(place: Path, *words: str, trap: str = "none", count: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), trap, str(count), "train", *words]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=300)


def ended(place: Path, name: str) -> dict[str, bytes]:
    (last,) = (place / "outputs" / "pictures" / name / "checkpoints").glob("step-00000044")
    return {p.name: p.read_bytes() for p in last.glob("*.safetensors")}


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_processes_and_a_kill_in_mid_epoch_change_no_bit(place: Path, backend: str) -> None:
    same = ["recipe=pictures.yaml", f"backend={backend}"]
    for workers in (0, 1, 2):
        done = train(place, *same, f"data.workers={workers}", f"output.name={backend}-{workers}")
        assert done.returncode == 0, done.stderr
    expected = ended(place, f"{backend}-0")
    assert set(expected) == {"weights.safetensors", "slots.safetensors"}
    assert ended(place, f"{backend}-1") == expected and ended(place, f"{backend}-2") == expected
    died = train(place, *same, "data.workers=2", f"output.name={backend}-killed", trap="renamed", count=3)
    assert died.returncode == -9, died.stderr
    run = place / "outputs" / "pictures" / f"{backend}-killed"
    latest = sorted((run / "checkpoints").glob("step-*"))[-1].name
    assert latest == "step-00000015", "in the middle of the first epoch of 22"
    done = train(place, f"resume={run}", "data.workers=1")
    assert done.returncode == 0, done.stderr
    assert "not equal to the bit" not in done.stderr
    assert ended(place, f"{backend}-killed") == expected


def test_another_seed_is_another_run(place: Path) -> None:
    for seed in (0, 1):
        done = train(place, "recipe=pictures.yaml", f"seed={seed}", f"output.name=seed-{seed}", "train.epochs=2")
        assert done.returncode == 0, done.stderr
    assert ended(place, "seed-0") != ended(place, "seed-1")
