"""Memory of the processor that training frees and asks for again in every update."""

from __future__ import annotations

import ctypes
import os
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
_OPTIONS = {_MMAP_THRESHOLD: 2**30, _TRIM_THRESHOLD: 2**31 - 1}  # bytes; mallopt takes an int


def keep_freed() -> None:
    """Let glibc keep freed memory for the next tensors instead of giving it back at once.

    Torch takes tensors of the processor from ``malloc``, and glibc returns large ones to the system as soon as they
    are freed. Every update then pays for the same pages again: they are mapped and filled with zeros one by one.
    From here on only allocations above 1 GiB, and what exceeds 2 GiB at the end of the heap, are returned.

    Nothing is set where the C library is another one, nor over settings of the user's own
    (``GLIBC_TUNABLES=glibc.malloc...``, ``MALLOC_..._``).

    Source: mallopt(3).
    """
    if sys.platform != "linux" or _chosen_by_user():
        return
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        for option, value in _OPTIONS.items():
            set_option(option, value)


def _chosen_by_user() -> bool:
    own = any(name.startswith("MALLOC_") and name.endswith("_") for name in os.environ)
    return own or "glibc.malloc." in os.environ.get("GLIBC_TUNABLES", "")
