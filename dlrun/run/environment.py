"""What a run was made with, and whether a resumed one can be equal to the bit."""

from __future__ import annotations

import platform
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

from dlrun import __version__
from dlrun.backends.base import Engine
from dlrun.recipe import Recipe


def session(recipe: Recipe, engine: Engine, step: int, overrides: tuple[str, ...], fingerprint: str) -> dict[str, Any]:
    """JSON-ready record of one start of a run."""
    import numpy

    described = engine.describe()
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "step": step,
        "dlrun": __version__,
        "command": sys.argv[1:],
        "overrides": list(overrides),
        "backend": recipe.backend.name,
        "device": described["device"],
        "threads": described["threads"],
        "deterministic": described["deterministic"],
        "precision": recipe.precision,
        "seed": recipe.seed,
        "versions": {"python": platform.python_version(), "numpy": numpy.__version__, **described["versions"]},
        "platform": platform.platform(),
        "processor": _processor(),
        "git": _git_revision(),
        "data": fingerprint,
    }


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What keeps a resumed run from being equal to the bit to an uninterrupted one."""
    found = []
    for key in ("backend", "device", "threads", "deterministic", "precision", "processor"):
        if before.get(key) != now.get(key):
            found.append(f"{key} {before.get(key)} -> {now.get(key)}")
    if before.get("backend") == now.get("backend"):
        for name in sorted({*before.get("versions", {}), *now["versions"]}):
            was, is_now = before.get("versions", {}).get(name), now["versions"].get(name)
            if was != is_now:
                found.append(f"{name} {was} -> {is_now}")
    return found


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _git_revision() -> str | None:
    """Revision of the working folder, with ``+`` where files differ from it."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"], capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
