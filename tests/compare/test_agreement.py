"""Every architecture keeps the promise of ``dlrun compare``; the recipes are those of ``benchmarks/agreement.py``."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
import yaml

from dlrun.backends import BACKENDS
from dlrun.compare.backends import judged
from dlrun.compare.promise import LIMITS
from dlrun.compare.recorder import record
from dlrun.compare.steps import Recording
from dlrun.config import compose
from dlrun.graph import models

_FILE = Path(__file__).resolve().parents[2] / "benchmarks" / "agreement.py"
_SPEC = importlib.util.spec_from_file_location("agreement", _FILE)
agreement = importlib.util.module_from_spec(_SPEC)
sys.modules["agreement"] = agreement  # its dataclasses look their module up
_SPEC.loader.exec_module(agreement)
CASES = {case.name: case for case in agreement.CASES}


def composed(name, folder, *words):
    file = folder / "small.yaml"
    file.write_text(yaml.safe_dump(CASES[name].recipe()))
    return compose([f"recipe={file}", *words]).plan


def test_every_architecture_has_a_recipe():
    assert {case.model["name"] for case in agreement.CASES} == set(models) - {"layers", "native", "dcgan"}
    assert len(CASES) == len(agreement.CASES)
    assert [c.name for c in agreement.chosen(["vit", "lenet"])] == ["lenet", "vit", "vit, mean"]
    with pytest.raises(SystemExit, match="`wit` is none of"):
        agreement.chosen(["wit"])


@pytest.mark.parametrize("name", CASES)
def test_recipes_make_as_many_updates_as_are_promised(name, tmp_path):
    assert composed(name, tmp_path).total_steps >= max(agreement.STEPS.values())


def test_the_table_tells_of_limits_that_are_promised():
    assert {(dtype, n) for dtype, n in agreement.STEPS.items()} <= {
        (dtype, n) for dtype, limits in LIMITS.items() for n, _ in limits
    }


def test_a_recipe_that_fails_is_a_miss(tmp_path):
    row = agreement.measure(CASES["mlp"], tmp_path, ["data.batch_size=0"])
    assert (row["exit_code"], row["holds"]) == (2, False) and "out-of-range" in row["error"]
    assert "FAIL: exit code 2" in agreement.table([row])[-1]


@pytest.mark.parametrize("name", ["densenet", "lstm_classifier", "transformer_classifier"])
def test_the_first_updates_agree(name, tmp_path):
    pytest.importorskip("torch")  # torch first: the other order is not tested by its makers
    pytest.importorskip("tensorflow")
    sides = []
    for backend in BACKENDS:
        plan = composed(name, tmp_path, f"backend={backend}", "precision=float64", "train.portable_dropout=true")
        side = Recording(tmp_path / backend, backend)
        record(plan, side, 5, 0, lambda what, done, of: None)
        sides.append(side)
    found = judged("float64", *sides, sides[0].noise(), plan.graph)
    assert found.holds, found.cause
    assert max(found.found.loss) > 0, "two backends round differently somewhere"


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_both_backends_agree_as_promised(name, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("tensorflow")
    row = agreement.measure(CASES[name], tmp_path)
    assert row["holds"], row.get("error") or row["precisions"]
