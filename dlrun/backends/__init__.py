"""The frameworks, by name; importing this imports none of them."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING

from dlrun.errors import DlrunError, did_you_mean

if TYPE_CHECKING:
    from dlrun.backends.base import Backend

BACKENDS = ("torch", "tensorflow")


def check_backend(name: str) -> None:
    """Raise ``unknown-backend`` or ``backend-not-installed``; imports no framework."""
    if name not in BACKENDS:
        raise DlrunError(
            "unknown-backend",
            f"`{name}` is not a backend.",
            path=("backend", "name"),
            hint=did_you_mean(name, BACKENDS),
        )
    if not installed(name):
        raise DlrunError(
            "backend-not-installed",
            f"`{name}` is not installed.",
            path=("backend", "name"),
            hint=f"Install it: {install_command(name)}",
        )


def installed(name: str) -> bool:
    """Whether the framework can be imported, without importing it."""
    return importlib.util.find_spec(name) is not None


def install_command(name: str) -> str:
    """The exact line that installs a backend."""
    extra = {"torch": "torch", "tensorflow": "tensorflow-cpu"}[name]
    return f"pip install 'dlrun[{extra}]'" + ("  (with a GPU: 'dlrun[tensorflow]')" if name == "tensorflow" else "")


def load_backend(name: str) -> Backend:
    """Import a framework's backend.

    Raises:
        DlrunError: ``unknown-backend`` or ``backend-not-installed``.
    """
    check_backend(name)
    backend: Backend = importlib.import_module(f"dlrun.backends.{name}").BACKEND
    return backend
