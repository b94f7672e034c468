"""Running an artefact the way its users will: in a fresh process, with nothing of dlrun."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

import dlrun
from dlrun.errors import RunError
from dlrun.export.formats import Format

TIMEOUT_S = 900
_BOOT = (
    "import runpy, sys; sys.modules['dlrun'] = None; del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"
)
"""Runs a script in which any import of dlrun fails."""


def script(format: Format) -> Path:
    """The file that runs artefacts of this format: ``python FILE ARTEFACT INPUTS.npz OUTPUTS.npz``."""
    return Path(dlrun.__file__).parent.joinpath(*format.runtime.split(".")[1:]).with_suffix(".py")


def run_artefact(
    format: Format, artefact: Path, inputs: dict[str, np.ndarray], workspace: Path
) -> dict[str, np.ndarray]:
    """The artefact's outputs, by the names of the inputs.

    Args:
        format: The artefact's format.
        artefact: Its file or folder.
        inputs: Stored samples.
        workspace: Folder for the files that are exchanged.

    Raises:
        RunError: ``export-failed`` when its runtime cannot load or run it.
    """
    given, returned = workspace / "inputs.npz", workspace / "outputs.npz"
    np.savez(given, **inputs)  # type: ignore[arg-type]  # names are ours, none is an option
    # The processor is the common ground: a graphics card may round convolutions to fewer bits.
    quiet = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    command = [sys.executable, "-P", "-c", _BOOT, *map(str, (script(format), artefact, given, returned))]
    try:
        done = subprocess.run(
            command, env=os.environ | quiet, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S
        )
        failure = _last_line(done.stderr) or f"exit code {done.returncode}" if done.returncode else None
    except subprocess.TimeoutExpired:
        failure = f"no answer within {TIMEOUT_S} s"
    if failure is None:
        with np.load(returned) as outputs:
            found = {name: outputs[name] for name in outputs.files}
        if found.keys() == inputs.keys():
            return found
        failure = "it did not answer every input"
    raise RunError(
        "export-failed",
        f"the `{format.name}` artefact does not run in its own runtime: {failure}.",
        hint="Nothing was kept. Try another format, or report this with the recipe.",
    )


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else ""
