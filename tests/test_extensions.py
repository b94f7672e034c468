"""Layers that others add: installed packages, and Python files that a recipe names."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from pathlib import Path

import pytest

from dlrun import extensions
from dlrun.config import compose
from dlrun.errors import DlrunError, DlrunErrors
from dlrun.graph import layers

LAYER = '''
from __future__ import annotations

import sys

from dlrun.graph import Layer, TensorType, Weight, layers

sys.executed = getattr(sys, "executed", 0) + 1


@layers("swish_gate")
class SwishGate(Layer):
    """y = g x sigmoid(b x)."""

    beta: float = 1.0

    def infer(self, *inputs: TensorType) -> TensorType:
        return inputs[0]

    def weights(self, *inputs: TensorType) -> tuple[Weight, ...]:
        return (Weight("kernel", (inputs[0].shape[-1], 1), "ones"),)

    def forward_torch(self, x, kernel):
        return x * kernel[:, 0] * (self.beta * x).sigmoid()

    def forward_tensorflow(self, x, kernel):
        import tensorflow as tf

        return x * kernel[:, 0] * tf.sigmoid(self.beta * x)
'''
RECIPE = """
task: classification
extensions: [my_layers.py]
data: {source: digits, validation: 200}
model:
  layers:
    - flatten
    - dense: {units: 16}
    - swish_gate: {beta: 1.5}
    - dense
train: {epochs: 1}
"""


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "executed", 0, raising=False)
    yield
    extensions.begin()


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe with its file of layers beside it, in a folder that is not the working one."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "my_layers.py").write_text(LAYER)
    (folder / "own.yaml").write_text(RECIPE)
    return folder / "own.yaml"


def codes(caught: pytest.ExceptionInfo[DlrunErrors]) -> list[str]:
    return [e.code for e in caught.value.errors]


def test_a_file_beside_the_recipe_describes_a_layer(recipe: Path) -> None:
    plan = compose([f"recipe={recipe}"]).plan
    node = plan.graph.nodes[2]
    assert (node.layer.kind, node.layer.beta) == ("swish_gate", 1.5)
    assert plan.graph.parameters == 64 * 16 + 16 + 16 + 16 * 10 + 10
    assert compose([f"recipe={recipe}", "model.layers.swish_gate_1.beta=2"]).plan.graph.nodes[2].layer.beta == 2
    assert sys.executed == 1


def test_a_file_is_executed_only_when_a_name_needs_it(recipe: Path) -> None:
    recipe.write_text(RECIPE.replace("- swish_gate: {beta: 1.5}", "- relu"))
    compose([f"recipe={recipe}"])
    assert sys.executed == 0


def test_another_recipe_does_not_see_the_layer(recipe: Path) -> None:
    compose([f"recipe={recipe}"])
    recipe.write_text(RECIPE.replace("extensions: [my_layers.py]", ""))
    with pytest.raises(DlrunErrors) as caught:
        compose([f"recipe={recipe}"])
    assert codes(caught) == ["unknown-layer"]
    assert "swish_gate" not in layers.registered()


def test_a_changed_file_is_read_again(recipe: Path) -> None:
    compose([f"recipe={recipe}"])
    (recipe.parent / "my_layers.py").write_text(LAYER.replace("(inputs[0].shape[-1], 1)", "(inputs[0].shape[-1], 2)"))
    assert compose([f"recipe={recipe}"]).plan.graph.nodes[2].parameters == 32


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("import nothing_of_the_kind", "extension-failed", "ModuleNotFoundError"),
        ("x = 1\ny = 1 / 0", "extension-failed", "(line 2)"),
        ("def f(:", "extension-failed", "SyntaxError"),
        ("x = 1", "unknown-layer", "swish_gate"),
        (LAYER.replace("swish_gate", "dense"), "duplicate-layer", "`dense`"),
    ],
)
def test_a_broken_file_is_reported_with_its_place(recipe: Path, text: str, code: str, said: str) -> None:
    (recipe.parent / "my_layers.py").write_text(text)
    with pytest.raises(DlrunErrors) as caught:
        compose([f"recipe={recipe}"])
    assert codes(caught) == [code] and said in caught.value.errors[0].message
    assert caught.value.errors[0].where is not None and caught.value.errors[0].where.line == 9


def test_a_file_that_is_not_there(recipe: Path) -> None:
    recipe.write_text(RECIPE.replace("my_layers.py", "your_layers.py"))
    with pytest.raises(DlrunErrors) as caught:
        compose([f"recipe={recipe}"])
    error = caught.value.errors[0]
    assert error.code == "missing-extension" and "your_layers.py" in error.message and error.where.line == 3


def test_a_layer_for_one_backend_only(recipe: Path) -> None:
    (recipe.parent / "my_layers.py").write_text(LAYER.partition("    def forward_tensorflow")[0])
    compose([f"recipe={recipe}", "backend=torch"])
    with pytest.raises(DlrunErrors) as caught:
        compose([f"recipe={recipe}", "backend=tensorflow"])
    error = caught.value.errors[0]
    assert error.code == "no-lowering" and "`tensorflow`" in error.message
    assert "backend=torch" in (error.hint or "") and "forward_tensorflow" in (error.hint or "")


def test_it_trains_alike_on_both_backends_and_the_run_keeps_the_file(recipe: Path) -> None:
    from dlrun.run.directory import open_run
    from dlrun.run.evaluate import evaluate
    from dlrun.run.train import train

    results = {}
    for backend in ("torch", "tensorflow"):
        pytest.importorskip(backend)
        composed = compose([f"recipe={recipe}", f"backend={backend}", "device.threads=1", "train.limit_batches=4"])
        results[backend] = train(composed)
    losses = [r.metrics["train_loss"] for r in results.values()]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    run = results["torch"].directory
    assert (run / "extensions/my_layers.py").read_text() == LAYER
    assert "extensions: [extensions/my_layers.py]" in open_run(run).recipe_file.read_text()
    there = evaluate(run, overrides=["backend=tensorflow"])
    assert there.metrics["accuracy"] == pytest.approx(results["torch"].metrics["test_accuracy"], abs=0.01)
    resumed = compose([f"recipe={run}/recipe.yaml", "train.epochs=2"])
    assert train(resumed, resume=run).directory == run
    assert "extensions: [extensions/my_layers.py]" in open_run(run).recipe_file.read_text()


@pytest.fixture
def foreign_run(tmp_path: Path) -> Path:
    """A run directory as it comes from another machine."""
    run = tmp_path / "downloaded"
    (run / "checkpoints").mkdir(parents=True)
    (run / "extensions").mkdir()
    (run / "extensions/my_layers.py").write_text(LAYER)
    (run / "recipe.yaml").write_text(RECIPE.replace("my_layers.py", "extensions/my_layers.py"))
    return run


def test_a_file_that_came_with_a_run_is_not_executed_unasked(foreign_run: Path) -> None:
    with pytest.raises(DlrunErrors) as caught:
        compose([f"recipe={foreign_run}/recipe.yaml"])
    error = caught.value.errors[0]
    assert error.code == "extension-not-trusted" and sys.executed == 0
    asked = (error.hint or "").split("'")[1]
    compose([f"recipe={foreign_run}/recipe.yaml", asked])
    assert sys.executed == 1
    compose([f"recipe={foreign_run}/recipe.yaml"])  # the same file has run here now


def test_what_has_run_here_as_ones_own_may_run_from_a_run_directory(recipe: Path, foreign_run: Path) -> None:
    compose([f"recipe={recipe}"])
    compose([f"recipe={foreign_run}/recipe.yaml"])
    (foreign_run / "extensions/my_layers.py").write_text(LAYER + "\n# changed\n")
    with pytest.raises(DlrunErrors) as caught:
        compose([f"recipe={foreign_run}/recipe.yaml"])
    assert codes(caught) == ["extension-not-trusted"]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes a package that registers a layer by an entry point, as pip would install it."""
    made: list[str] = []

    def install(name: str, text: str) -> None:
        site = tmp_path / "site"
        info = site / f"{name}_package-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{name}_module.py").write_text(text)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-package\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[dlrun.layers]\n{name} = {name}_module\n")
        monkeypatch.syspath_prepend(str(site))
        made.append(name)

    monkeypatch.setattr(extensions, "_loaded", set())
    monkeypatch.setattr(extensions, "_problems", {})
    yield install
    for name in made:
        layers.withdraw(name)
        sys.modules.pop(f"{name}_module", None)


def test_an_installed_package_adds_a_layer_when_it_is_asked_for(recipe: Path, installed) -> None:
    installed("swish_gate", LAYER)
    recipe.write_text(RECIPE.replace("extensions: [my_layers.py]", ""))
    compose(["recipe=digits"])
    assert "swish_gate_module" not in sys.modules
    assert compose([f"recipe={recipe}"]).plan.graph.nodes[2].layer.kind == "swish_gate"
    assert "swish_gate" in layers.names()


def test_a_package_that_cannot_be_loaded_is_named(recipe: Path, installed) -> None:
    installed("swish_gate", "raise RuntimeError('no such device')")
    recipe.write_text(RECIPE.replace("extensions: [my_layers.py]", ""))
    with pytest.raises(DlrunErrors) as caught:
        compose([f"recipe={recipe}"])
    error = caught.value.errors[0]
    assert error.code == "extension-failed"
    assert "swish_gate-package" in error.message and "no such device" in error.message
    assert "swish_gate" not in layers.names() and len(extensions.problems()) == 1


def test_layers_are_not_looked_for_in_packages_before_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise AssertionError("packages were looked at")

    monkeypatch.setattr(importlib.metadata, "entry_points", refuse)
    compose(["recipe=digits"])


def test_the_resolved_recipe_names_the_file_in_full(recipe: Path) -> None:
    values = compose([f"recipe={recipe}"]).values
    assert values["extensions"] == [str(recipe.parent.resolve() / "my_layers.py")]
    json.dumps(values)


def test_registering_a_name_twice_is_refused() -> None:
    with pytest.raises(DlrunError) as caught:
        layers("dense")(type("Again", (), {}))
    assert caught.value.code == "duplicate-layer"
