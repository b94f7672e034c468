"""What the processor of this machine computes by itself, and by which kernels."""

from __future__ import annotations

import platform
from collections.abc import MutableMapping
from pathlib import Path

from dlrun.layers.window import Window

_FEW_CHANNELS = 8
_CPUINFO = Path("/proc/cpuinfo")
_ANY_OF = {"bfloat16": {"avx512_bf16", "amx_bf16"}, "float16": {"avx512_fp16", "amx_fp16"}}


def prefer_onednn(environment: MutableMapping[str, str]) -> None:
    """Have TensorFlow use oneDNN on any x86 processor, not only on those of its default; a value of the user's stays.

    Args:
        environment: Of the process, before TensorFlow is imported.
    """
    if platform.machine().lower() in ("x86_64", "amd64"):
        environment.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def thin_first(window: Window, channels: int) -> bool:
    """Whether a convolution must first take the places that its kernel visits, and then go over all of these.

    On x86 processors with AVX2 and without AVX-512, oneDNN's gradient of the kernel of a strided 1x1 convolution of few
    channels writes beyond its end (torch 2.13.0, TensorFlow 2.21.0): the process dies of a corrupted heap.

    Args:
        window: The kernel's, over an image.
        channels: Of the input.
    """
    return window.size == (1, 1) and max(window.stride) > 1 and channels < _FEW_CHANNELS


def imitated(precision: str, cpuinfo: Path | None = None) -> list[str]:
    """A note on a half precision that frameworks must imitate on this processor, which is slow; else nothing.

    Nothing is known, and so nothing is said, of systems other than Linux and of processors other than x86.

    Args:
        precision: The recipe's number format.
        cpuinfo: What Linux tells of the processor, as a file; this machine's own by default.
    """
    wanted = _ANY_OF.get(precision)
    try:
        lines = (cpuinfo or _CPUINFO).read_text("utf-8", "replace").splitlines() if wanted else []
    except OSError:
        return []
    flags = next((set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), None)
    if not wanted or flags is None or flags & wanted:
        return []
    return [f"This processor has no instructions for `{precision}`, so `precision=float32` is likely to be faster."]
