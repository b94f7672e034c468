"""Runs a job in a fresh process, so that each side imports one framework and starts from the same state."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from dlrun.compare.job import Job
from dlrun.compare.recorder import Tell
from dlrun.errors import DlrunError, RunError, Where


def run_job(job: Job, tell: Tell) -> None:
    """Do a job and wait for it; what it leaves is in ``job.folder``.

    Raises:
        DlrunError, RunError: What the process itself reports; ``side-failed`` when it ended without a word.
    """
    folder = Path(job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    job.write(folder / "job.json")
    with open(folder / "stderr.txt", "w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "dlrun.compare.worker", str(folder / "job.json")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                _pass_on(line, tell)
            code = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        if code == 0:
            return
        said.seek(0)
        raise _failure(job, code, said.read())


def _pass_on(line: str, tell: Tell) -> None:
    try:
        what, done, of = json.loads(line)
    except ValueError:  # a library printed something
        return
    tell(what, done, of)


def _failure(job: Job, code: int, text: str) -> DlrunError:
    try:
        said = json.loads((Path(job.folder) / "error.json").read_text())
    except (OSError, ValueError):
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        last = lines[-1] if lines else "no message"
        return RunError(
            "side-failed",
            f"training on {job.backend} ended with exit code `{code}`: {last}",
            hint=f"See it alone: dlrun train --smoke {' '.join(job.words())}",
        )
    kind = DlrunError if said["exit_code"] == 2 else RunError
    where = Where(said["file"], said["line"], said["column"], said["override"])
    return kind(
        said["code"],
        f"on {job.backend}: {said['message']}",
        path=tuple(said["place"]),
        where=where if str(where) else None,
        hint=said["hint"],
    )
