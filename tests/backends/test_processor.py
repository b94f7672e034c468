"""Half precision that a processor must imitate is told before it costs an hour."""

from __future__ import annotations

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
