"""``dlrun eval`` and its report, on a real run."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from dlrun.backends import installed

BACKEND = next((b for b in ("torch", "tensorflow") if installed(b)), "")
if not BACKEND:
    pytest.skip("no backend is installed", allow_module_level=True)

RECIPE = f"""\
task: classification
data:
  source: {{name: npz, train: train.npz, test: test.npz, classes: 2}}
  batch_size: 16
model: {{layers: [{{dense: {{units: 2}}}}]}}
loss: softmax_cross_entropy
metrics: [roc_auc, confusion_matrix]
backend: {BACKEND}
device: {{threads: 1}}
tracker: none
train: {{epochs: 1}}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in a folder with a blank in its name."""
    from dlrun.config import compose
    from dlrun.run.train import train

    root = tmp_path_factory.mktemp("my runs")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3)).astype(np.float32)
    np.savez(root / "train.npz", x=x, y=(x[:, 0] > 0).astype(np.int64))
    np.savez(root / "test.npz", x=x, y=np.ones(60, np.int64))
    (root / "recipe.yaml").write_text(RECIPE)
    words = [f"recipe={root}/recipe.yaml", f"data.root={root}", f"output.root={root}/outputs", "output.name=one"]
    return train(compose(words)).directory


def test_eval_writes_a_report_and_says_how_to_open_it(in_process, run):
    code, out, err = in_process("eval", str(run))
    assert code == 0
    page = next((run / "eval").glob("test-*/report.html"))
    opened = next(line for line in err.splitlines() if line.strip().startswith("open "))
    assert shlex.split(opened, comments=True) == ["open", str(page)]
    assert "dlrun predict" in err
    assert "roc_auc" in out and "undefined" in out
    assert "`roc_auc` has no value: no class has both" in out
    assert "confusion_matrix:" in out


def test_json_has_the_paths(in_process, run):
    code, out, _ = in_process("eval", str(run), "--json")
    found = json.loads(out)
    assert code == 0 and found["metrics"]["roc_auc"] is None and "no class" in found["undefined"]["roc_auc"]
    files = found["report"]
    assert set(files) == {
        "report.html",
        "metrics.json",
        "predictions.jsonl",
        "confusion_matrix.svg",
        "reliability.svg",
        "confidence.svg",
    }
    assert all(Path(path).name == name and Path(path).is_file() for name, path in files.items())
    assert Path(files["report.html"]).parent.parent == run / "eval"


def test_no_report_leaves_it_out(in_process, run):
    before = {p: p.stat().st_mtime_ns for p in run.rglob("*")}
    code, out, err = in_process("eval", str(run), "--no-report")
    assert code == 0 and "open " not in err and "roc_auc" in out
    found = json.loads(in_process("eval", str(run), "--no-report", "--json")[1])
    assert "report" not in found
    assert {p: p.stat().st_mtime_ns for p in run.rglob("*")} == before


def test_a_report_that_cannot_be_written(in_process, run, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("eval"))
    (copy / "eval").write_text("")
    code, out, err = in_process("eval", str(copy))
    assert code == 1 and out == ""
    assert "cannot-write" in err and f"{copy}/eval/test-" in err and "--no-report" in err
    assert in_process("eval", str(copy), "--no-report")[0] == 0


def test_help_names_the_report(in_process):
    code, out, _ = in_process("eval", "--help")
    assert code == 0 and "--no-report" in out and "predictions.jsonl" in out
