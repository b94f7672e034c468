"""A model or batch that does not fit in memory is a mistake to mend, not a bug of dlrun."""

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dlrun.config import compose
from dlrun.errors import RunError
from dlrun.run.memory import memory_errors
from dlrun.run.train import train


@pytest.mark.parametrize("units", [10**10, 10**18, 2 * 10**19])
def test_weights_larger_than_the_machine(units: int, tmp_path: Path) -> None:
    with pytest.raises(RunError) as caught:
        train(compose(["recipe=digits", f"model.layers.dense_1.units={units}", f"output.root={tmp_path}"]))
    assert caught.value.code == "out-of-memory" and caught.value.exit_code == 1
    assert "of weights alone, and this machine has" in caught.value.message
    assert "`dense_1` is the largest layer" in (caught.value.hint or "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shape", [(10**15,), (10**18,), (10**20,)])
def test_what_numpy_says_of_too_large_arrays(shape: tuple[int, ...]) -> None:
    with pytest.raises(RunError) as caught, memory_errors():
        np.empty(shape, np.float64)
    assert caught.value.code == "out-of-memory" and "`data.batch_size`" in (caught.value.hint or "")


def test_other_errors_pass() -> None:
    with pytest.raises(ValueError, match="another"), memory_errors():
        raise ValueError("another")
    with pytest.raises(RuntimeError, match="another"), memory_errors():
        raise RuntimeError("another")


def test_a_process_without_memory_says_so(tmp_path: Path) -> None:
    limit = 16 * 2**30
    done = subprocess.run(
        [sys.executable, "-m", "dlrun", "train", "digits", "model.layers.dense_1.units=10000000", "train.epochs=1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert done.returncode == 1 and done.stderr.startswith("out-of-memory: "), done.stderr
    assert "bug" not in done.stderr and "hint: " in done.stderr
