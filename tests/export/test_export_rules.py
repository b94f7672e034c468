"""What export refuses before anything is built, and where it puts things; no framework."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlrun.errors import DlrunError, RunError
from dlrun.export.compare import compare
from dlrun.export.formats import FORMATS, check_format, find_format
from dlrun.export.probe import probes
from dlrun.export.runtime import run_artefact, script
from dlrun.export.staging import place, publish, workspace


def test_an_unknown_format_lists_those_there_are() -> None:
    with pytest.raises(DlrunError) as caught:
        find_format("tflite")
    assert caught.value.code == "unknown-format" and caught.value.exit_code == 2
    assert all(f"`{name}`" in str(caught.value) for name in FORMATS)
    with pytest.raises(DlrunError, match="onx") as caught:
        find_format("onx")
    assert "Did you mean `onnx`?" in str(caught.value)


@pytest.mark.parametrize(
    ("format", "backend", "other"),
    [("keras", "torch", "tensorflow"), ("saved_model", "torch", "tensorflow"), ("torch_export", "tensorflow", "torch")],
)
def test_a_format_of_the_other_backend_names_the_command(format: str, backend: str, other: str) -> None:
    with pytest.raises(DlrunError) as caught:
        check_format(FORMATS[format], backend, "outputs/digits/run")
    assert caught.value.code == "format-needs-backend"
    assert f"dlrun export outputs/digits/run format={format} backend={other}" in str(caught.value)


def test_a_missing_package_names_the_install_line(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, *a: None if n == "onnxruntime" else find(n, *a))
    with pytest.raises(DlrunError) as caught:
        check_format(FORMATS["onnx"], "torch")
    assert caught.value.code == "export-not-installed"
    assert "`onnxruntime`" in str(caught.value) and "pip install 'dlrun[export]'" in str(caught.value)
    check_format(FORMATS["torch_export"], "torch")


def test_every_format_has_a_script_that_stands_alone() -> None:
    for format in FORMATS.values():
        text = script(format).read_text()
        assert "dlrun" not in text.replace("run_", "")
        assert f"python {script(format).name} " in text


def test_probes_are_real_samples_and_edges(every_layer: Any, small: Any) -> None:
    found = probes(every_layer.plan.signature, every_layer.plan.graph.input.shape, every_layer.samples)
    assert len(found) == 12 and all(x.dtype == np.uint8 for x in found.values())
    assert {len(x) for x in found.values()} == {1, 3, 128}
    np.testing.assert_array_equal(found["real-128"][:40], every_layer.samples)
    np.testing.assert_array_equal(found["real-128"][40:80], every_layer.samples)
    assert found["zeros-3"].max() == 0 and found["maximum-1"].min() == 255
    assert found["alternating-1"][0, :2, :2, 0].tolist() == [[0, 255], [255, 0]]
    assert found["alternating-3"][1, 0, 0, 0] == 255
    stored = dataclasses.replace(small.plan.signature, scale=0.25)
    found = probes(stored, small.plan.graph.input.shape, small.samples)
    assert found["maximum-1"].dtype == np.float32 and found["maximum-1"].tolist() == [[4, 4, 4]]


def _answers(value: float) -> dict[str, np.ndarray]:
    return {"real-1": np.array([[10.0, value]]), "zeros-1": np.array([[value, value]])}


def test_comparison_is_relative_to_the_largest_output() -> None:
    expected = _answers(0.0)
    checks = compare("onnx", expected, _answers(0.000999))
    assert [c["largest_output"] for c in checks] == [10, 10] and all(c["equal"] for c in checks)
    with pytest.raises(RunError) as caught:
        compare("onnx", expected, _answers(0.00101))
    assert caught.value.code == "export-mismatch" and caught.value.exit_code == 1
    worst = expected | {"zeros-3": np.zeros((3, 2))}
    with pytest.raises(RunError, match="input `zeros`, batch size 3 differs by `0.5`"):
        compare("onnx", worst, _answers(0.002) | {"zeros-3": np.full((3, 2), 0.5)})


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_a_number_is_not_equal(bad: float) -> None:
    for expected, found in ((0.0, bad), (bad, bad), (bad, 0.0)):
        with pytest.raises(RunError, match="export-mismatch|does not compute"):
            compare("onnx", _answers(expected), _answers(found))


def test_another_shape_is_not_equal() -> None:
    with pytest.raises(RunError, match=r"gives shape \[1, 1\] instead of \[1, 2\]"):
        compare("onnx", _answers(1.0), {"real-1": np.ones((1, 1)), "zeros-1": np.ones((1, 2))})


def test_places(tmp_path: Path) -> None:
    onnx, folder = FORMATS["onnx"], FORMATS["saved_model"]
    assert place(onnx, tmp_path, "digits") == tmp_path / "digits.onnx"
    assert place(onnx, tmp_path / "a" / "b.onnx", "digits") == tmp_path / "a" / "b.onnx"
    assert place(folder, tmp_path, "digits") == tmp_path / "digits"
    with pytest.raises(DlrunError, match="m.onnx") as caught:
        place(onnx, tmp_path / "m.h5", "digits")
    assert caught.value.code == "wrong-suffix"


def test_a_folder_that_is_not_an_artefact_is_never_replaced(tmp_path: Path) -> None:
    precious = tmp_path / "digits"
    precious.mkdir()
    (precious / "thesis.tex").write_text("years of work")
    with pytest.raises(DlrunError) as caught:
        place(FORMATS["saved_model"], tmp_path, "digits")
    assert caught.value.code == "target-exists"
    (tmp_path / "x.onnx").mkdir()
    with pytest.raises(DlrunError) as caught:
        place(FORMATS["onnx"], tmp_path, "x")
    assert caught.value.code == "target-exists"
    (tmp_path / "model").write_text("a file")
    with pytest.raises(DlrunError):
        place(FORMATS["saved_model"], tmp_path / "model", "digits")


def test_publishing_replaces_a_folder_or_puts_it_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, made = tmp_path / "model", tmp_path / "made"
    for folder, text in ((target, "old"), (made, "new")):
        (folder / "variables").mkdir(parents=True)
        (folder / "variables" / "data").write_text(text)
    rename = os.rename

    def fails(source: Path, destination: Path) -> None:
        if source == made:
            raise OSError(5, "Input/output error")
        rename(source, destination)

    monkeypatch.setattr(os, "rename", fails)
    with pytest.raises(OSError, match="Input/output"):
        publish(made, target, tmp_path / "aside")
    assert (target / "variables" / "data").read_text() == "old"
    monkeypatch.undo()
    publish(made, target, tmp_path / "aside")
    assert (target / "variables" / "data").read_text() == "new" and not made.exists()


def test_a_place_that_cannot_be_written_is_an_error_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError) as caught, workspace(tmp_path / "file" / "m.onnx"):
        pass
    assert caught.value.code == "export-not-writable" and "File exists" in str(caught.value)


def test_a_workspace_goes_whatever_happens(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), workspace(tmp_path / "m.onnx") as folder:
        (folder / "artefact.onnx").write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_runtime_cannot_import_dlrun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = tmp_path / "run_it.py"
    runner.write_text("import json\nimport dlrun\n")
    monkeypatch.setattr("dlrun.export.runtime.script", lambda format: runner)
    with pytest.raises(RunError, match="dlrun") as caught:
        run_artefact(FORMATS["onnx"], tmp_path / "m.onnx", {"real-1": np.zeros((1, 2))}, tmp_path)
    assert caught.value.code == "export-failed"
    assert json.dumps(caught.value.as_dict())
