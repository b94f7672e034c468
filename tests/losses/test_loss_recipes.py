"""Sums of losses as a recipe writes them, trained on several outputs by both backends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dlrun.backends import load_backend
from dlrun.config import compose
from dlrun.config.written import values_of
from dlrun.data.feed import Feed
from dlrun.data.source import Place
from dlrun.errors import DlrunErrors
from dlrun.plan import Plan
from dlrun.run.evaluate import evaluate_batches

RECIPE = """\
data: {source: digits, batch_size: 32, validation: 97}
model:
  layers:
    - flatten
    - dense: {units: 12, activation: tanh, name: hidden}
    - dense: {units: 10, inputs: [hidden], name: early}
    - dense: {units: 8, activation: tanh, inputs: [hidden]}
    - dense: {units: 10, name: late}
  outputs: [late, early]
loss:
  name: weighted_sum
  terms:
    - {loss: softmax_cross_entropy, weight: 0.75}
    - {loss: {name: softmax_focal, gamma: 1.0}, weight: 0.25, output: late}
    - {loss: {name: softmax_cross_entropy, label_smoothing: 0.1, ignore_index: 3}, weight: 0.5, output: early}
optimizer: {name: sgd, learning_rate: 0.1}
train: {epochs: 1}
precision: float64
"""


@pytest.fixture
def plan_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("sum.yaml").write_text(RECIPE, "utf-8")

    def plan(*overrides: str) -> Plan:
        return compose(["recipe=./sum.yaml", *overrides]).plan

    return plan


def test_terms_are_written_as_they_are_read(plan_of) -> None:
    plan = plan_of("loss.terms.0.weight=0.5")
    assert [term.weight for term in plan.recipe.loss.terms] == [0.5, 0.25, 0.5]
    written = values_of(plan.recipe)["loss"]
    assert written["name"] == "weighted_sum"
    assert written["terms"][1]["output"] == "late"
    assert plan.outputs == ("late", "early")


def test_mistakes_in_terms_have_their_place(plan_of) -> None:
    with pytest.raises(DlrunErrors) as caught:
        plan_of("loss.terms.2.output=erly")
    (error,) = caught.value.errors
    assert error.code == "unknown-output" and error.path == ("loss", "terms", 2, "output")
    with pytest.raises(DlrunErrors) as caught:
        plan_of("loss=softmax_cross_entropy")
    assert [e.code for e in caught.value.errors] == ["unread-output"]


def trained(plan: Plan, steps: int) -> tuple[np.ndarray, dict[str, np.ndarray], dict]:
    engine = load_backend(plan.recipe.backend.name).compile(plan)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(101, 8, 8, 1)), rng.integers(0, 10, 101)
    engine.attach(x, y)
    found = engine.train_resident(np.arange(101), 0, 0, np.full(steps, 0.1))
    streamed = engine.train_streamed([(x[:32], y[:32])], steps, np.full(1, 0.1))
    feed = Feed(plan, Place(None, False))
    report = evaluate_batches(plan, engine, feed.eval_batches("validation", None))
    return np.concatenate([found, streamed]), engine.state().weights, report


@pytest.mark.parametrize("parts", [1, 3])
def test_backends_train_several_outputs_alike(plan_of, natives, parts: int) -> None:
    whole = None
    for backend in natives:
        plan = plan_of(f"backend={backend}", f"train.micro_batches={parts}")
        values, weights, report = trained(plan, 4)
        whole = whole or (values, weights, report)
        np.testing.assert_allclose(values, whole[0], rtol=1e-12)
        for name, weight in weights.items():
            np.testing.assert_allclose(weight, whole[1][name], rtol=0, atol=1e-13, err_msg=name)
        assert report["loss"] == pytest.approx(whole[2]["loss"], rel=1e-12)
    assert (np.diff(values[:4]) != 0).all()


def test_the_reported_loss_leaves_other_outputs_out(plan_of, natives) -> None:
    plan = plan_of()
    engine = load_backend("torch").compile(plan)
    feed = Feed(plan, Place(None, False))
    batches = list(feed.eval_batches("validation", None))
    report = evaluate_batches(plan, engine, batches)
    outputs = np.concatenate([engine.infer(x) for x, _ in batches])
    labels = np.concatenate([np.asarray(y) for _, y in batches])
    first, second, _ = plan.recipe.loss.terms
    expected = 0.75 * first.loss.reference(outputs, labels) + 0.25 * second.loss.reference(outputs, labels)
    assert report["loss"] == pytest.approx(expected, rel=1e-12)
