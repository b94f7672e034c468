"""Too large for memory, said as a mistake that can be mended."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod

import numpy as np

from dlrun.errors import RunError
from dlrun.plan import Plan

_TOO_BIG = ("array is too big", "Maximum allowed dimension exceeded", "can't allocate memory")
"""What is said of arrays that no memory could hold by errors which are not a MemoryError."""


def check_memory(plan: Plan) -> None:
    """Refuse a model whose weights alone are more than this machine's memory.

    Asking for them first is no test: the system promises more than it has and then kills the process.

    Raises:
        RunError: ``out-of-memory``.
    """
    memory = _physical_memory()
    needed = plan.graph.parameters * np.dtype(plan.array_dtype).itemsize
    if memory is None or needed <= memory:
        return
    sizes = {node.name: sum(prod(w.shape) for w in node.weights) for node in plan.graph.nodes}
    largest = max(sizes, key=lambda name: sizes[name])
    raise RunError(
        "out-of-memory",
        f"the model has `{plan.graph.parameters:,}` parameters: {_amount(needed)} of weights alone, "
        f"and this machine has {_amount(memory)} of memory.",
        hint=f"Make it smaller; `{largest}` is the largest layer, with {sizes[largest]:,} parameters.",
    )


@contextmanager
def memory_errors() -> Iterator[None]:
    """Tell the user what was asked for when memory ran out; anything else passes."""
    try:
        yield
    except (MemoryError, ValueError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not any(text in str(error) for text in _TOO_BIG):
            raise
        raise RunError(
            "out-of-memory",
            f"there is too little memory for this model and batch: `{str(error).rstrip('.') or 'no more to be had'}`.",
            hint="Lower `data.batch_size`, `data.eval_batch_size` or `data.memory_mb`, or make the model smaller.",
        ) from error


def _physical_memory() -> int | None:
    """Bytes of this machine's memory; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _amount(size: int) -> str:
    amount = float(size)
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if amount < 1024:
            return f"{amount:,.1f} {unit}"
        amount /= 1024
    return f"{amount:,.0f} PiB"
