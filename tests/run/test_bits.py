"""What must not change a run's bits: checkpoint frequency, display, chunk size, being a sweep's job."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

RECIPE = [
    "recipe=mnist",
    "model.layers.conv2d_1.filters=4",
    "model.layers.conv2d_2.filters=8",
    "train.limit_batches=25",
    "data.validation=300",
    "device.threads=2",
]
TIMINGS = ("train_seconds", "samples_per_s", "elapsed", "seconds")


def cli(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, "-m", "dlrun", *args], cwd=cwd, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done


def result(run: Path) -> tuple[dict[str, bytes], list[dict[str, object]]]:
    last = sorted((run / "checkpoints").glob("step-*"))[-1]
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    untimed = [{k: v for k, v in r.items() if k not in TIMINGS} for r in records]
    return {p.name: p.read_bytes() for p in last.glob("*.safetensors")}, untimed


def test_bits_do_not_depend_on_how_a_run_is_watched(data_root: Path, tmp_path: Path) -> None:
    sweep = cli("train", "-m", *RECIPE, "train.epochs=2", "backend=torch,tensorflow", "--json", cwd=tmp_path)
    jobs = json.loads(sweep.stdout)["jobs"]
    assert len(jobs) == 2
    for job, backend in zip(jobs, ("torch", "tensorflow"), strict=True):
        same = [*RECIPE, "train.epochs=2", f"backend={backend}"]
        cli("train", *same, "output.name=a", "--quiet", cwd=tmp_path)
        expected = result(tmp_path / "outputs/mnist/a")
        assert expected[1], "the run recorded nothing"
        assert result(tmp_path / job["directory"]) == expected, f"{backend}: a sweep's job differs"
        varied = ["train.checkpoints.every_steps=4", "train.chunk_steps=3", "tracker=none", "--json"]
        cli("train", *same, "output.name=b", *varied, cwd=tmp_path)
        assert result(tmp_path / "outputs/mnist/b") == expected, f"{backend}: checkpoints or chunks change bits"
        (tmp_path / "outputs/mnist/a").rename(tmp_path / f"a-{backend}")
        (tmp_path / "outputs/mnist/b").rename(tmp_path / f"b-{backend}")


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_stopped_and_extended_equals_uninterrupted(backend: str, data_root: Path, tmp_path: Path) -> None:
    same = [*RECIPE, f"backend={backend}", "schedule=constant"]
    cli("train", *same, "train.epochs=2", "output.name=whole", cwd=tmp_path)
    cli("train", *same, "train.epochs=1", "output.name=short", cwd=tmp_path)
    extended = cli("train", f"resume={tmp_path / 'outputs/mnist/short'}", "train.epochs=2", cwd=tmp_path)
    assert "now spans" not in extended.stderr + extended.stdout
    assert result(tmp_path / "outputs/mnist/short") == result(tmp_path / "outputs/mnist/whole")
