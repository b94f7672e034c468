"""Networks trained against each other: each phase moves its weights, alike on both backends, and to the bit again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dlrun.backends import load_backend
from dlrun.backends.base import Engine
from dlrun.config import compose
from dlrun.data.feed import Feed
from dlrun.data.source import Place
from dlrun.plan import Plan

RECIPE = """\
task: image_generation
data: {source: digits, batch_size: 32}
model: {name: dcgan, size: 16, noise: 6, filters: 4}
optimizer: {name: adam, learning_rate: 2e-3, betas: [0.5, 0.999]}
train:
  portable_dropout: true
  phases:
    - weights: "discriminator.*"
      loss:
        name: weighted_sum
        terms:
          - {loss: adversarial, output: score_real}
          - {loss: {name: adversarial, label: 0}, output: score_generated}
    - {weights: "generator.*", loss: adversarial, output: score_generated}
"""

TOGETHER = """\
task: image_classification
data: {source: digits, batch_size: 32}
model:
  layers:
    - flatten: {name: pixels}
    - dense: {name: early, units: 8, bias: false, inputs: [pixels]}
    - batch_norm: {name: first}
    - dense: {name: answer, units: 10}
    - dense: {name: late, units: 8, bias: false, inputs: [pixels]}
    - batch_norm: {name: second, share: first}
    - dense: {units: 8, activation: tanh}
    - dense: {name: further, units: 10}
  outputs: [answer, further]
loss:
  name: weighted_sum
  terms:
    - {loss: softmax_cross_entropy, output: answer}
    - {loss: softmax_cross_entropy, output: further}
"""
"""Keras calls ``second`` before ``first``, as more layers follow it."""

WIDE = """\
task: image_classification
data: {source: digits, batch_size: 32}
model:
  layers:
    - flatten: {name: pixels}
    - dense: {name: shared, units: 8, activation: tanh}
    - dense: {name: answer, units: 10, inputs: [shared]}
    - dense: {name: further, units: 10, inputs: [shared]}
  outputs: [answer, further]
optimizer: {name: sgd, weight_decay: 0.5}
metrics: []
train:
  phases:
    - {weights: "*", loss: softmax_cross_entropy, output: answer}
    - {weights: "*", loss: softmax_cross_entropy, output: further}
"""
"""Each phase names weights that its loss does not reach."""


@pytest.fixture
def planned(tmp_path: Path) -> Any:
    """``planned(backend, *overrides)``: the plan of a small recipe."""
    torch.set_num_threads(1)
    recipe = tmp_path / "gan.yaml"

    def plan(backend: str, *overrides: str, precision: str = "float64", text: str = RECIPE) -> Plan:
        recipe.write_text(text)
        return compose([f"recipe={recipe}", f"backend={backend}", f"precision={precision}", *overrides]).plan

    return plan


def train(plan: Plan, steps: int, first: int = 0, engine: Engine | None = None) -> tuple[np.ndarray, Engine]:
    engine, feed = engine or load_backend(plan.recipe.backend.name).compile(plan), Feed(plan, Place())
    engine.attach(feed.x, feed.y)
    return engine.train_resident(feed.order(0), first, first, np.full(steps, 2e-3)), engine


def apart(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> float:
    assert set(a) == set(b)
    return max(float(np.abs(a[k] - b[k]).max()) for k in a)


@pytest.mark.parametrize(
    "overrides", [(), ("train.micro_batches=3",), ("train.ema=0.9", "train.clip_norm=0.5")], ids=["", "parts", "ema"]
)
def test_both_backends_train_alike(overrides: tuple[str, ...], planned: Any) -> None:
    ours, one = train(planned("torch", *overrides), 10)
    theirs, other = train(planned("tensorflow", *overrides), 10)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    assert ours[-1] < ours[0]
    a, b = one.state(), other.state()
    assert max(apart(a.weights, b.weights), apart(a.slots, b.slots)) <= 1e-12  # running statistics too
    x = np.zeros((300, 8, 8, 1))
    images = one.infer(x)
    assert np.abs(images - other.infer(x)).max() <= 1e-12
    assert np.array_equal(images[:44], images[256:]) and not np.allclose(images[0], images[1])


def test_layers_that_share_running_statistics_move_them_in_the_same_order_under_one_loss(planned: Any) -> None:
    ours, one = train(planned("torch", text=TOGETHER), 10)
    theirs, other = train(planned("tensorflow", text=TOGETHER), 10)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    assert apart(one.state().weights, other.state().weights) <= 1e-12


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_going_on_gives_the_same_bits(backend: str, planned: Any) -> None:
    plan = planned(backend, precision="float32")
    whole, through = train(plan, 6)
    begun, engine = train(plan, 3)
    fresh = load_backend(backend).compile(plan)
    fresh.restore(engine.state())
    ended, again = train(plan, 3, 3, fresh)
    np.testing.assert_array_equal(np.concatenate([begun, ended]), whole)
    assert apart(again.state().weights, through.state().weights) == 0


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_a_phase_is_an_update_of_its_weights_by_its_loss(backend: str, planned: Any) -> None:
    """Plain gradient descent: the second phase sees the weights that the first one has moved."""
    plan = planned(backend, "optimizer=sgd", "optimizer.momentum=0")
    feed = Feed(plan, Place())
    batch = feed.order(0)[:32]
    _, trained = train(plan, 1)
    after = trained.state().weights
    start = load_backend(backend).compile(plan)
    before = start.state()
    first = start.gradients((feed.x[batch], feed.y[batch]), 0)
    assert apart(start.state().weights, before.weights) == 0  # looking changes nothing
    names = [n for n in first if n.startswith("discriminator.")]
    assert names and all(np.abs(g).max() > 0 for g in first.values())
    for name in names:
        np.testing.assert_allclose(after[name], before.weights[name] - 2e-3 * first[name], rtol=0, atol=1e-14)
    before.weights.update({name: after[name] for name in names})
    start.restore(before)
    second = start.gradients((feed.x[batch], feed.y[batch]), 0)
    for name in set(first) - set(names):
        np.testing.assert_allclose(after[name], before.weights[name] - 2e-3 * second[name], rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    "optimizer",
    ["{name: sgd, momentum: 0.9, weight_decay: 0.1}", "{name: adamw, weight_decay: 0.1}", "{name: lamb}"],
    ids=["sgd", "adamw", "lamb"],
)
@pytest.mark.parametrize(
    "overrides", [(), ("train.micro_batches=3", "train.ema=0.5", "train.clip_norm=0.5")], ids=["", "parts"]
)
def test_phases_that_name_more_than_their_loss_reaches_train_alike(
    optimizer: str, overrides: tuple[str, ...], planned: Any
) -> None:
    text = WIDE.replace("{name: sgd, weight_decay: 0.5}", optimizer)
    ours, one = train(planned("torch", *overrides, text=text), 5)
    theirs, other = train(planned("tensorflow", *overrides, text=text), 5)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    a, b = one.state(), other.state()
    assert max(apart(a.weights, b.weights), apart(a.slots, b.slots), apart(a.ema, b.ema) if overrides else 0) <= 1e-12


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_weights_that_a_loss_does_not_reach_are_updated_with_a_gradient_of_zero(backend: str, planned: Any) -> None:
    """By hand: weight decay of both phases moves the answer's weights, the gradient of the first one."""
    plan = planned(backend, text=WIDE)
    feed, rate, decay = Feed(plan, Place()), 2e-3, 0.5
    batch = feed.order(0)[:32]
    start = load_backend(backend).compile(plan)
    before, found = start.state().weights, start.gradients((feed.x[batch], feed.y[batch]), 0)
    _, trained = train(plan, 1)
    after = trained.state().weights
    for name in ("answer.kernel", "answer.bias"):
        first = before[name] - rate * (found[name] + decay * before[name])
        np.testing.assert_allclose(after[name], first * (1 - rate * decay), rtol=0, atol=1e-15)
