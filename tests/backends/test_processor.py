"""Half precision that a processor must imitate is told before it costs an hour."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlrun.backends import load_backend, processor
from dlrun.backends.processor import imitated
from dlrun.plan import Plan


@pytest.mark.parametrize(
    ("precision", "flags", "told"),
    [
        ("bfloat16", "fpu avx avx2 fma", True),
        ("bfloat16", "fpu avx2 avx512f avx512_bf16", False),
        ("bfloat16", "fpu avx2 amx_bf16 amx_tile", False),
        ("float16", "fpu avx512f avx512_bf16", True),
        ("float16", "fpu avx512f avx512_fp16", False),
        ("float32", "fpu avx avx2 fma", False),
        ("float64", "fpu avx avx2 fma", False),
    ],
)
def test_flags_of_the_processor_decide(precision: str, flags: str, told: bool, tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: {flags}\nbugs\t\t: avx512_bf16\n", "utf-8")
    assert [f"`{precision}`" in note for note in imitated(precision, cpuinfo)] == [True] * told


def test_nothing_is_said_of_what_is_not_known(tmp_path: Path) -> None:
    assert imitated("bfloat16", tmp_path / "absent") == []
    (tmp_path / "arm").write_text("processor\t: 0\nFeatures\t: fp asimd bf16\n", "utf-8")
    assert imitated("bfloat16", tmp_path / "arm") == []


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
@pytest.mark.parametrize(("precision", "notes"), [("bfloat16", 1), ("float32", 0)])
def test_both_backends_tell_it_at_the_start_of_a_run(
    backend: str, precision: str, notes: int, make_plan: Callable[..., Plan], tmp_path: Path, monkeypatch: Any
) -> None:
    pytest.importorskip(backend)
    (tmp_path / "cpuinfo").write_text("flags : fpu avx2\n", "utf-8")
    monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "cpuinfo")
    plan = make_plan([{"dense": {"units": 3}}], (4,), classes=3, precision=precision, device={"name": "cpu"})
    said = load_backend(backend).compile(plan).describe()["notes"]
    assert sum("no instructions for" in note for note in said) == notes


TORCH = """
import torch
from dlrun.backends.torch.conv import convolve
from dlrun.backends.torch.layout import channels_last_kernels
from dlrun.layers.window import Window

module = convolve(Window((1, 1), (2, 2), (1, 1), "valid"), ((0, 0), (0, 0)), CHANNELS, 8, 1, False)
torch.nn.init.ones_(next(module.parameters()))
channels_last_kernels(module)


def gradient():
    x = torch.randn(6, CHANNELS, 16, 16).contiguous(memory_format=torch.channels_last).requires_grad_()
    module(x).sum().backward()
"""
TENSORFLOW = """
import dlrun.backends.tensorflow
import tensorflow as tf
from dlrun.backends.tensorflow.conv_forms import convolve
from dlrun.layers.window import Window

tf.config.threading.set_intra_op_parallelism_threads(1)
kernel, window = tf.ones((1, 1, CHANNELS, 8)), Window((1, 1), (2, 2), (1, 1), "same")


@tf.function
def gradient():
    x = tf.random.normal((6, 16, 16, CHANNELS))
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        loss = tf.reduce_sum(convolve(x, kernel, window, 1) ** 2)
    return tape.gradient(loss, [x, kernel])
"""
MANY = """
import numpy as np

kept = []
for _ in range(300):
    gradient()
    kept = [*kept[-30:], *(np.empty(n) for n in (5, 33, 129, 777, 3000))]
print("whole")
"""


@pytest.mark.parametrize("channels", [4, 7])
@pytest.mark.parametrize(("backend", "code"), [("torch", TORCH), ("tensorflow", TENSORFLOW)])
def test_strided_1x1_convolutions_of_few_channels_leave_the_heap_whole(backend: str, code: str, channels: int) -> None:
    """In a process of its own, which dies where a gradient is written beyond its end."""
    pytest.importorskip(backend)
    run = [sys.executable, "-c", code.replace("CHANNELS", str(channels)) + MANY]
    done = subprocess.run(run, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "whole\n"), done.stderr
