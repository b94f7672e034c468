"""Freed memory of the processor stays with the process."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

CODE = """
import resource
import torch
from dlrun.backends.torch.device import configure
from dlrun.recipe import Device

configure(Device(), torch.device("cpu"))
counts = []
for _ in range(8):
    torch.ones(50 * 2**20, dtype=torch.uint8)
    counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
print(counts[-1] - counts[2])
"""

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is a setting of glibc")


def _faults(**settings: str) -> int:
    env = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_") and k != "GLIBC_TUNABLES"}
    run = [sys.executable, "-c", CODE]
    done = subprocess.run(run, capture_output=True, text=True, env=env | settings, timeout=120, check=True)
    return int(done.stdout)


def test_a_tensor_takes_the_pages_of_the_one_before() -> None:
    assert _faults() <= 10


@pytest.mark.parametrize(
    "settings", [{"MALLOC_MMAP_THRESHOLD_": "131072"}, {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=131072"}]
)
def test_the_users_own_setting_stays(settings: dict[str, str]) -> None:
    assert _faults(**settings) > 100
