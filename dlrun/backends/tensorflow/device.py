"""Which device a run uses, and the process-wide settings that make it reproducible."""

from __future__ import annotations

import os

import keras
import tensorflow as tf

from dlrun.errors import DlrunError
from dlrun.recipe import Device

_deterministic = False


def seen() -> list[str]:
    """Devices TensorFlow can use, e.g. ``["cpu", "cuda:0"]``."""
    return ["cpu", *(f"cuda:{i}" for i in range(len(tf.config.list_physical_devices("GPU"))))]


def select(choice: Device) -> str:
    """The device a recipe asks for, one of ``seen()``.

    Raises:
        DlrunError: ``device-not-available`` or ``device-not-supported``.
    """
    found = seen()
    name = choice.name
    if name == "tpu":
        raise DlrunError(
            "device-not-supported",
            "`tpu` is not supported by the tensorflow backend.",
            path=("device", "name"),
            hint="Use `device: auto`.",
        )
    if name == "auto":
        name = "cuda" if len(found) > 1 else "cpu"
    wanted = f"cuda:{choice.index or 0}" if name == "cuda" else name + (f":{choice.index}" if choice.index else "")
    if wanted not in found:
        raise DlrunError(
            "device-not-available",
            f"`{wanted}` is not available; TensorFlow sees " + ", ".join(f"`{d}`" for d in found) + ".",
            path=("device", "index")
            if choice.index and name in {d.split(":")[0] for d in found}
            else ("device", "name"),
            hint="Use `device: auto`, or one of these.",
        )
    return wanted


def scope(device: str) -> str:
    """A device as ``tf.device`` takes it."""
    return "/CPU:0" if device == "cpu" else "/GPU:" + device.removeprefix("cuda:")


def configure(choice: Device, device: str) -> list[str]:
    """Set threads, memory, reproducible kernels and full float32 for this process.

    Returns:
        What could not be had: threads and memory are fixed once TensorFlow has run anything.
    """
    notes = _grow_memory() + _set_threads(choice.threads) + _set_determinism(choice.deterministic)
    if device != "cpu":
        tf.config.experimental.enable_tensor_float_32_execution(False)
    return notes


def threads() -> int:
    """CPU threads of one operation."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return tf.config.threading.get_intra_op_parallelism_threads() or usable


def deterministic() -> bool:
    """Whether this process keeps to reproducible kernels."""
    return _deterministic


def versions() -> dict[str, str]:
    """What the results depend on besides the recipe."""
    found = {"tensorflow": tf.__version__, "keras": keras.__version__}
    build = tf.sysconfig.get_build_info()
    for name in ("cuda", "cudnn"):
        if build.get(f"{name}_version"):
            found[name] = str(build[f"{name}_version"])
    return found


def _grow_memory() -> list[str]:
    """Take GPU memory as it is needed rather than all at once."""
    try:
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError:
        return ["TensorFlow was in use already, so it keeps the GPU memory it has taken"]
    return []


def _set_threads(wanted: int | None) -> list[str]:
    if wanted is None:
        return []
    try:
        tf.config.threading.set_intra_op_parallelism_threads(wanted)
        tf.config.threading.set_inter_op_parallelism_threads(wanted)
    except RuntimeError:
        if threads() != wanted:
            return [f"TensorFlow was in use already with {threads()} threads, so `device.threads` changed nothing"]
    return []


def _set_determinism(wanted: bool) -> list[str]:
    global _deterministic
    if wanted and not _deterministic:
        tf.config.experimental.enable_op_determinism()
        _deterministic = True
    if _deterministic and not wanted:
        return ["this process was set to reproducible kernels before, and keeps them"]
    return []
