"""How fast a recipe trains and how much memory it takes, in a process that does nothing else."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from typing import Any

from dlrun.compare.recorder import Tell
from dlrun.compare.training import Training
from dlrun.plan import Plan

_CALL_S, _WHOLE_S, _CALLS = 0.3, 4.0, 15


def measure(plan: Plan, before: int, tell: Tell) -> dict[str, Any]:
    """Milliseconds per update, the median over calls of the engine as the training loop makes them.

    The first call is not counted: it may build something. Calls grow to about a third of a second.

    Args:
        plan: The resolved recipe, nothing of it changed.
        before: Resident memory before the model was built, bytes.
        tell: Told how far it is.
    """
    training = Training(plan)
    per_step: list[float] = []
    done, at_once, spent = 0, 1, 0.0
    while done < plan.total_steps and len(per_step) <= _CALLS and (spent < _WHOLE_S or len(per_step) < 4):
        n = min(at_once, plan.total_steps - done)
        started = time.perf_counter()
        made = sum(len(found) for found in training.run(done, n))
        seconds = time.perf_counter() - started
        done, spent = done + made, spent + seconds
        per_step.append(seconds / made)
        at_once = max(1, min(round(_CALL_S / per_step[-1]), 4 * at_once))
        tell("speed", len(per_step), _CALLS + 1)
    counted = per_step[1:] or per_step
    described = training.engine.describe()
    return {
        "ms_per_step": 1000 * statistics.median(counted),
        "updates_timed": done,
        "peak_memory": peak_memory(),
        "memory_before": before,
        "device_memory": training.engine.device_memory(),
        "device": described["device"],
        "threads": described["threads"],
        "versions": described["versions"],
        "notes": described.get("notes", []),
    }


def peak_memory() -> int:
    """The most resident memory this process has had, bytes."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            # getrusage would count what the parent had when it started this process
            return 1024 * int(next(line for line in status if line.startswith("VmHWM")).split()[1])
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak
