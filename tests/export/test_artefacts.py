"""Every format from every backend: runs by itself, computes the same, or leaves nothing."""

from __future__ import annotations

import dataclasses
import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlrun.backends import load_backend
from dlrun.errors import DlrunError, RunError
from dlrun.export import FORMATS, export_plan
from dlrun.export.runtime import script

WRITERS = [(b, f.name) for b in ("torch", "tensorflow") for f in FORMATS.values() if b in f.backends]


@pytest.fixture(scope="module", autouse=True)
def _frameworks() -> None:
    for name in ("torch", "tensorflow", "onnx", "onnxscript", "onnxruntime", "tf2onnx"):
        pytest.importorskip(name)


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_backends_and_formats_agree(backend: str) -> None:
    assert set(load_backend(backend).export_formats) == {f for b, f in WRITERS if b == backend}


@pytest.mark.parametrize(("backend", "format"), WRITERS)
def test_every_layer_survives(every_layer: Any, backend: str, format: str, tmp_path: Path) -> None:
    case = every_layer.on(backend)
    out = tmp_path / f"ö model{FORMATS[format].suffix}"
    result = export_plan(case.plan, case.weights, format, out, case.samples)
    assert (result.path, result.format) == (out, format)
    assert {(c["input"], c["batch_size"]) for c in result.checks} == {
        (kind, size) for kind in ("real", "zeros", "maximum", "alternating") for size in (1, 3, 128)
    }
    assert all(c["equal"] and c["shape"] == [c["batch_size"], 10] for c in result.checks)
    assert max(c["largest_difference"] for c in result.checks if c["input"] == "real") < 1e-3
    assert min(c["largest_output"] for c in result.checks) > 1
    assert result.size_bytes >= 4 * sum(w.size for w in case.weights.values())
    description = json.loads(result.description.read_text())
    assert description["input"] == {"name": "input", "shape": ["N", 8, 7, 3], "dtype": "uint8"}
    assert description["output"]["shape"] == ["N", 10]
    assert description["classes"] == [str(i) for i in range(10)]
    assert backend in description["versions"] and len(description["checks"]) == 12
    assert {p.name for p in tmp_path.iterdir()} == {out.name} | (
        set() if FORMATS[format].folder else {f"{out.name}.json"}
    )


@pytest.mark.parametrize(("backend", "format"), WRITERS)
def test_layers_that_read_ids_survive(sequences: Any, backend: str, format: str, tmp_path: Path) -> None:
    case = sequences.on(backend)
    result = export_plan(case.plan, case.weights, format, tmp_path / f"model{FORMATS[format].suffix}", case.samples)
    assert all(c["equal"] and c["shape"] == [c["batch_size"], 10] for c in result.checks)


@pytest.mark.parametrize(("backend", "format"), [("torch", "onnx"), ("tensorflow", "onnx"), ("tensorflow", "keras")])
def test_stored_floats_go_in_as_they_are(small: Any, backend: str, format: str, tmp_path: Path) -> None:
    case = small.on(backend)
    result = export_plan(case.plan, case.weights, format, tmp_path, case.samples, stem="model")
    assert result.path == tmp_path / f"model{FORMATS[format].suffix}"
    assert json.loads(result.description.read_text())["input"]["dtype"] == "float32"


def test_onnx_describes_itself(small: Any, tmp_path: Path) -> None:
    import onnx

    case = small.on("torch")
    result = export_plan(case.plan, case.weights, "onnx", tmp_path, case.samples, origin={"step": 12})
    model = onnx.load(str(result.path))
    inside = {p.key: p.value for p in model.metadata_props}
    assert json.loads(inside["input"])["shape"] == ["N", 3] and json.loads(inside["origin"]) == {"step": 12}
    assert [i.name for i in model.graph.input] == ["input"] and [o.name for o in model.graph.output] == ["output"]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"
    assert json.loads(result.description.read_text())["opset"] == model.opset_import[0].version == 18


def test_an_artefact_and_its_script_need_no_dlrun(small: Any, tmp_path: Path) -> None:
    """In an interpreter that cannot find dlrun: no site packages but those named, the script copied elsewhere."""
    import onnxruntime

    case = small.on("torch")
    result = export_plan(case.plan, case.weights, "onnx", tmp_path, case.samples)
    runner = shutil.copy(script(FORMATS["onnx"]), tmp_path / "run.py")
    folder = tmp_path / "packages"
    folder.mkdir()
    for package in ("numpy", "numpy.libs", "onnxruntime"):
        source = Path(onnxruntime.__file__).parents[1] / package
        if source.exists():
            (folder / package).symlink_to(source)
    np.savez(tmp_path / "in.npz", a=case.samples[:7])
    code = (
        "import sys, runpy, importlib.util; sys.path.append(sys.argv.pop(1)); sys.argv.pop(0); "
        "assert importlib.util.find_spec('dlrun') is None; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    words = [folder, runner, result.path, tmp_path / "in.npz", tmp_path / "out.npz"]
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "out.npz") as outputs:
        assert outputs["a"].shape == (7, 1)


@pytest.mark.parametrize(("backend", "format"), [("torch", "onnx"), ("tensorflow", "saved_model")])
def test_a_mismatch_leaves_what_was_there(
    small: Any, backend: str, format: str, tmp_path: Path, monkeypatch: Any
) -> None:
    case = small.on(backend)
    out = tmp_path / f"model{FORMATS[format].suffix}"
    good = export_plan(case.plan, case.weights, format, out, case.samples)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}

    loaded = load_backend(backend)
    write = loaded.export

    def corrupted(plan: Any, weights: dict[str, np.ndarray], *rest: Any) -> None:
        write(plan, weights | {"dense_2.bias": weights["dense_2.bias"] + 0.01}, *rest)

    monkeypatch.setattr(loaded, "export", corrupted)
    with pytest.raises(RunError) as caught:
        export_plan(case.plan, case.weights, format, out, case.samples)
    assert caught.value.code == "export-mismatch" and caught.value.exit_code == 1
    assert "batch size" in str(caught.value) and "differs by `0.01`" in str(caught.value)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before

    monkeypatch.undo()
    again = {name: w * 1.5 for name, w in case.weights.items()}
    assert export_plan(case.plan, again, format, out, case.samples).path == good.path
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} != before
    assert {p.name for p in tmp_path.iterdir()} == {p.relative_to(tmp_path).parts[0] for p in before}


def test_a_mismatch_leaves_nothing_in_a_new_folder(small: Any, tmp_path: Path, monkeypatch: Any) -> None:
    case = small.on("torch")
    loaded = load_backend("torch")
    write = loaded.export

    def corrupted(plan: Any, weights: dict[str, np.ndarray], *rest: Any) -> None:
        write(plan, weights | {"batch_norm_1.variance": weights["batch_norm_1.variance"] * 1.01}, *rest)

    monkeypatch.setattr(loaded, "export", corrupted)
    with pytest.raises(RunError) as caught:
        export_plan(case.plan, case.weights, "onnx", tmp_path / "fresh" / "m.onnx", case.samples)
    assert caught.value.code == "export-mismatch"
    assert list((tmp_path / "fresh").iterdir()) == []


def test_what_does_not_run_is_not_kept(small: Any, tmp_path: Path, monkeypatch: Any) -> None:
    case = small.on("torch")

    def garbage(plan: Any, weights: Any, format: str, target: Path) -> None:
        target.write_bytes(b"PK not a program")

    monkeypatch.setattr(load_backend("torch"), "export", garbage)
    with pytest.raises(RunError) as caught:
        export_plan(case.plan, case.weights, "torch_export", tmp_path / "m.pt2", case.samples)
    assert caught.value.code == "export-failed" and "`torch_export`" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("precision", ["float64", "bfloat16"])
def test_any_precision_is_exported_in_float32(small: Any, precision: str, tmp_path: Path) -> None:
    """A reference computed in bfloat16 would be further off than is allowed."""
    case = small.on("torch")
    train = dataclasses.replace(case.plan.recipe.train, ema=0.9)
    recipe = dataclasses.replace(case.plan.recipe, precision=precision, train=train)
    plan = dataclasses.replace(case.plan, recipe=recipe)
    weights = {name: w.astype(plan.array_dtype) for name, w in case.weights.items()}
    result = export_plan(plan, weights, "onnx", tmp_path, case.samples)
    assert json.loads(result.description.read_text())["output"]["dtype"] == "float32"


@pytest.mark.parametrize(
    ("backend", "format"), [("torch", "torch_export"), ("tensorflow", "saved_model"), ("tensorflow", "keras")]
)
def test_a_full_disk_leaves_nothing(small: Any, backend: str, format: str, tmp_path: Path) -> None:
    case = small.on(backend)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512, limits[1]))
    try:
        with pytest.raises(RunError) as caught:
            export_plan(case.plan, case.weights, format, tmp_path / "new" / f"m{FORMATS[format].suffix}", case.samples)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.code == "export-not-writable" and "File too large" in str(caught.value)
    assert list((tmp_path / "new").iterdir()) == []


def test_weights_of_another_model_are_refused(small: Any, every_layer: Any, tmp_path: Path) -> None:
    case = small.on("torch")
    for weights in (every_layer.weights, case.weights | {"dense_1.kernel": np.zeros((4, 8))}):
        with pytest.raises(DlrunError) as caught:
            export_plan(case.plan, weights, "onnx", tmp_path, case.samples)
        assert caught.value.code == "checkpoint-mismatch"
