"""Real sides in processes of their own: equal ones pass, and each kind of difference is traced to its place."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from dlrun.compare.backends import judged
from dlrun.compare.job import Job
from dlrun.compare.process import run_job
from dlrun.compare.steps import Recording
from dlrun.config import compose
from dlrun.errors import DlrunError

pytest.importorskip("torch")

RECIPE = """\
task: image_classification
data: {source: {name: random, shape: [6, 6, 1], classes: 3, samples: 40}, batch_size: 10}
model:
  layers:
    - conv2d: {filters: 4, kernel: 3, name: stem}
    - batch_norm: {name: norm}
    - relu: {name: act}
    - dropout: {rate: 0.3}
    - flatten
    - dense: {name: head}
optimizer: {name: adam, learning_rate: 1e-2}
train: {epochs: 2}
"""
STEPS = 6


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Records a side once: ``recorded(backend, *overrides)``."""
    root = tmp_path_factory.mktemp("sides")
    (root / "tiny.yaml").write_text(RECIPE)
    known = {}

    def record(backend: str, *overrides: str, dtype: str = "float64", seeds: int = 0) -> Recording:
        key = (backend, overrides, dtype, seeds)
        if key not in known:
            folder = root / str(len(known))
            words = (f"recipe={root / 'tiny.yaml'}", *overrides)
            job = Job("record", backend, words, None, 2, str(folder), {dtype: STEPS}, {dtype: seeds})
            run_job(job, lambda what, done, of: None)
            known[key] = Recording(folder / dtype, backend)
        return known[key]

    record.graph = lambda: compose([f"recipe={root / 'tiny.yaml'}"]).plan.graph
    return record


def compared(recorded, a: Recording, b: Recording):
    return judged("float64", a, b, a.noise(), recorded.graph())


def test_both_backends_agree(recorded):
    pytest.importorskip("tensorflow")
    result = compared(recorded, recorded("torch", seeds=2), recorded("tensorflow"))
    assert result.holds and result.cause is None and result.found.same_start
    assert 0 < max(result.found.loss) < 1e-13
    assert set(result.found.outputs) == {"stem", "norm", "act", "dropout_1", "flatten_1", "head"}
    assert max(result.found.outputs.values()) < 1e-13
    assert set(result.found.gradients) == {"stem", "norm", "head"}
    assert all(len(v) == STEPS and max(v) < 1e-10 for v in result.found.gradients.values())
    assert result.noise is not None and 0 < result.noise[-1] < 1e-12


def test_a_recording_is_the_training_itself(recorded, tmp_path):
    """Looking at gradients and outputs changes nothing: the losses are those of a plain run."""
    import json
    import subprocess
    import sys

    recording = recorded("torch")
    code = (
        "import json, sys; from dlrun.config import compose; from dlrun.compare.training import Training\n"
        "losses = [x for part in Training(compose(sys.argv[1:]).plan).run(0, 6) for x in part.tolist()]\n"
        "print(json.dumps(losses))"
    )
    words = json.loads((recording.folder.parent / "job.json").read_text())
    job = Job(**{**words, "overrides": tuple(words["overrides"])})
    done = subprocess.run([sys.executable, "-c", code, *job.words("float64")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [step.loss for step in recording.steps()][1:]


@pytest.mark.parametrize(
    ("override", "part", "layer"),
    [
        ("seed=1", "start", None),
        ("model.layers.act={leaky_relu: {slope: 0.01, name: act}}", "forward", "act"),
        ("loss={name: softmax_cross_entropy, label_smoothing: 0.01}", "loss", None),
        ("optimizer.learning_rate=0.0101", "update", None),
    ],
)
def test_a_difference_is_traced_to_its_place(recorded, override, part, layer):
    result = compared(recorded, recorded("torch"), recorded("torch", override))
    assert not result.holds and result.cause is not None
    assert result.cause.part == part
    assert layer is None or result.cause.layer == layer


def test_neighbouring_weights_are_one_unit_away(recorded):
    from dlrun.compare.recorder import neighbours

    folder = recorded("torch").folder
    plan = compose([f"recipe={folder.parent.parent / 'tiny.yaml'}"]).plan
    start = plan.initial_weights()
    moved, other = neighbours(plan, start, 0), neighbours(plan, start, 1)
    w, v = start["head.kernel"], moved["head.kernel"]
    assert (v != w).all() and (np.abs(v - w) <= np.spacing(np.abs(w))).all()
    assert 0.3 < (v > w).mean() < 0.7 and not np.array_equal(v, other["head.kernel"])
    assert (moved["norm.variance"] == 1).all(), "running statistics are no weights"
    assert (moved["head.bias"] == 0).all(), "a zero has no rounding to move by"


def test_a_side_that_fails_says_why(tmp_path):
    job = Job(
        "record", "torch", ("recipe=digits", "data.batch_size=0"), None, 1, str(tmp_path / "side"), {"float32": 1}
    )
    with pytest.raises(DlrunError) as caught:
        run_job(job, lambda what, done, of: None)
    assert caught.value.code == "out-of-range" and caught.value.exit_code == 2
    assert caught.value.message.startswith("on torch: ") and caught.value.path == ("data", "batch_size")


def test_progress_is_told(tmp_path):
    told = []
    job = Job("record", "torch", ("recipe=digits",), None, 1, str(tmp_path / "side"), {"float32": 2}, {"float32": 1})
    run_job(job, lambda *said: told.append(said))
    assert told[:2] == [("float32 updates", 1, 2), ("float32 updates", 2, 2)] and told[-1] == ("float32 noise", 2, 2)
    assert Path(job.folder, "float32").is_dir() and os.listdir(tmp_path) == ["side"]


def test_a_side_starts_from_the_weights_that_the_recipe_names(tmp_path):
    from safetensors.numpy import save_file

    (tmp_path / "tiny.yaml").write_text(RECIPE)
    words = [f"recipe={tmp_path / 'tiny.yaml'}"]
    kernel = np.full((64, 3), 0.25, np.float32)
    save_file({"head.kernel": kernel}, tmp_path / "head.safetensors")
    words.append(f"model.weights={{file: {tmp_path / 'head.safetensors'}, partial: true}}")
    job = Job("record", "torch", tuple(words), None, 1, str(tmp_path / "side"), {"float32": 2}, {"float32": 1})
    run_job(job, lambda what, done, of: None)
    recording = Recording(tmp_path / "side" / "float32", "torch")
    first, *_ = recording.steps()
    np.testing.assert_array_equal(first.weights["head.kernel"].reshape(-1), kernel.reshape(-1))
    losses = [step.loss for step in recording.steps()][1:]
    assert abs(recording.noise()[0, 0] - losses[0]) < 1e-4, "the noise is that of the same start"
