"""Runs the real command in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as exactly one JSON value."""
        return json.loads(self.out)


Command = Callable[..., Done]


@pytest.fixture
def dlrun(tmp_path: Path) -> Command:
    """``dlrun(*words)`` runs ``python -m dlrun`` in an empty folder."""

    def run(*words: str, cwd: Path = tmp_path, env: dict[str, str] | None = None, timeout: float = 300) -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "dlrun", *words],
            cwd=cwd,
            env={**os.environ, "COLUMNS": "120", **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def in_process(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command in this process: exit code, standard output, standard error."""
    from dlrun.cli import app

    def command(*words: str) -> tuple[int, str, str]:
        code = app.run(words)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command
