"""Which device a run uses, and the process-wide settings that make it reproducible."""

from __future__ import annotations

import os

import torch

from dlrun.backends.torch.memory import keep_freed
from dlrun.errors import DlrunError
from dlrun.recipe import Device


def seen() -> list[str]:
    """Devices torch can use, e.g. ``["cpu", "cuda:0"]``."""
    cuda = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return ["cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else [])]


def select(choice: Device, precision: str) -> torch.device:
    """The device a recipe asks for.

    Raises:
        DlrunError: ``device-not-available``, ``device-not-supported`` or ``precision-not-supported``.
    """
    found = seen()
    name = choice.name
    if name == "tpu":
        raise DlrunError(
            "device-not-supported",
            "`tpu` is not supported by the torch backend.",
            path=("device", "name"),
            hint="Use `device: auto`.",
        )
    if name == "auto":
        accelerated = [d for d in found if d.startswith("cuda") or (d == "mps" and precision != "float64")]
        name = accelerated[0].split(":")[0] if accelerated else "cpu"
    wanted = f"cuda:{choice.index or 0}" if name == "cuda" else name + (f":{choice.index}" if choice.index else "")
    if wanted not in found:
        field = "index" if any(d.split(":")[0] == name for d in found) else "name"
        raise DlrunError(
            "device-not-available",
            f"`{wanted}` is not available; torch sees " + ", ".join(f"`{d}`" for d in found) + ".",
            path=("device", field),
            hint="Use `device: auto`, or one of these.",
        )
    if name == "mps" and precision == "float64":
        raise DlrunError(
            "precision-not-supported",
            "`float64` does not exist on `mps`.",
            path=("precision",),
            hint="Use `precision: float32`, or `device: cpu`.",
        )
    return torch.device(wanted)


def configure(choice: Device, device: torch.device) -> None:
    """Set threads, memory, reproducible kernels and full float32 for this process."""
    if device.type == "cpu":
        keep_freed()
    if choice.threads is not None:
        torch.set_num_threads(choice.threads)
    if choice.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it
    torch.use_deterministic_algorithms(choice.deterministic)
    torch.utils.deterministic.fill_uninitialized_memory = False  # nothing here reads memory it did not write
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = not choice.deterministic
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = False


def versions() -> dict[str, str]:
    """What the results depend on besides the recipe."""
    found = {"torch": torch.__version__}
    if torch.cuda.is_available():
        found["cuda"] = str(torch.version.cuda)
        found["cudnn"] = str(torch.backends.cudnn.version())
    return found
