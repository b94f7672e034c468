"""Memory of the processor that training frees and asks for again in every update."""

from __future__ import annotations

import ctypes
import os
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
_LARGEST = 2**31 - 1  # mallopt takes an int


def keep_freed() -> bool:
    """Let glibc keep up to 2 GiB of freed memory for the next tensors instead of giving it back at once.

    Torch takes tensors of the processor from ``malloc``, and glibc returns large ones to the system as soon as they
    are freed. Every update then pays for the same pages again: they are mapped and filled with zeros one by one.

    Returns:
        Whether it was set: not where the C library is another one, and not over settings of the user's own
        (``GLIBC_TUNABLES=glibc.malloc...``, ``MALLOC_..._``).

    Source: mallopt(3).
    """
    if sys.platform != "linux" or _chosen_by_user():
        return False
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is None:
        return False
    return all([set_option(_MMAP_THRESHOLD, _LARGEST), set_option(_TRIM_THRESHOLD, _LARGEST)])


def _chosen_by_user() -> bool:
    own = any(name.startswith("MALLOC_") and name.endswith("_") for name in os.environ)
    return own or "glibc.malloc." in os.environ.get("GLIBC_TUNABLES", "")
