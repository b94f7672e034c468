"""The artefacts dlrun can write: what each one is called, who writes it, what it needs."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field

from dlrun.errors import DlrunError, did_you_mean

INSTALL = "pip install 'dlrun[export]'"


@dataclass(frozen=True)
class Format:
    """An artefact's format.

    Args:
        name: As ``format=`` names it.
        suffix: Of its file name; empty for a folder.
        backends: Those that write it, the one to suggest first.
        runtime: Module of the script that runs the artefact with nothing of dlrun.
        packages: What a backend needs beside itself to write and check it.
    """

    name: str
    suffix: str
    backends: tuple[str, ...]
    runtime: str
    packages: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def folder(self) -> bool:
        """Whether the artefact is a folder."""
        return not self.suffix


FORMATS: dict[str, Format] = {
    f.name: f
    for f in (
        Format(
            "onnx",
            ".onnx",
            ("torch", "tensorflow"),
            "dlrun.export.runtimes.run_onnx",
            {"torch": ("onnx", "onnxscript", "onnxruntime"), "tensorflow": ("onnx", "tf2onnx", "onnxruntime")},
        ),
        Format("torch_export", ".pt2", ("torch",), "dlrun.backends.torch.runtimes.run_torch_export"),
        Format("saved_model", "", ("tensorflow",), "dlrun.backends.tensorflow.runtimes.run_saved_model"),
        Format("keras", ".keras", ("tensorflow",), "dlrun.backends.tensorflow.runtimes.run_keras"),
    )
}


def find_format(name: str) -> Format:
    """The format called ``name``.

    Raises:
        DlrunError: ``unknown-format``.
    """
    if name not in FORMATS:
        raise DlrunError("unknown-format", f"`{name}` is not an export format.", hint=did_you_mean(name, FORMATS))
    return FORMATS[name]


def check_format(format: Format, backend: str, source: str = "RUN") -> None:
    """Make sure that ``backend`` can write the format here, without importing anything.

    Args:
        format: The format.
        backend: Name of the backend.
        source: What is exported, for the command in the hint.

    Raises:
        DlrunError: ``format-needs-backend`` or ``export-not-installed``.
    """
    if backend not in format.backends:
        other = format.backends[0]
        raise DlrunError(
            "format-needs-backend",
            f"`{format.name}` is written by {' or '.join(f'`{b}`' for b in format.backends)}, not by `{backend}`.",
            hint=f"Weights move between backends: dlrun export {source} format={format.name} backend={other}",
        )
    missing = [p for p in format.packages.get(backend, ()) if importlib.util.find_spec(p) is None]
    if missing:
        raise DlrunError(
            "export-not-installed",
            f"`{format.name}` from `{backend}` needs {', '.join(f'`{p}`' for p in missing)}, not installed here.",
            hint=f"Install it: {INSTALL}",
        )
