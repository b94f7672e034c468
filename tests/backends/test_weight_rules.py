"""Penalties, limits, groups and freezing on both backends, against numpy and each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")  # torch first
pytest.importorskip("tensorflow")

from dlrun.backends import load_backend  # noqa: E402
from dlrun.backends.base import EngineState  # noqa: E402
from dlrun.graph.patterns import Constraint, Regularizer  # noqa: E402
from dlrun.optimizers import Group  # noqa: E402
from dlrun.plan import Plan  # noqa: E402
from dlrun.resolve import resolve  # noqa: E402

Maker = Callable[..., Plan]
Draw = Callable[..., tuple[np.ndarray, np.ndarray]]

BACKENDS = ("torch", "tensorflow")
CNN: list[Any] = [
    {"conv2d": {"filters": 4, "kernel": 3, "padding": "same", "name": "stem"}},
    "batch_norm",
    "relu",
    "flatten",
    {"dense": {"units": 3, "name": "head"}},
]
EVERYTHING: dict[str, Any] = {
    "regularizers": (Regularizer(match="stem.*", l1=1e-2, l2=1e-2), Regularizer(match="*.kernel", l2=1e-1)),
    "constraints": (
        Constraint(match="stem.kernel", max_norm=0.8),
        Constraint(match="head.kernel", unit_norm=True, axis=1),
        Constraint(match="*.scale", non_negative=True),
    ),
}
GROUPS = (
    Group(match="*.bias", learning_rate_multiplier=2.0, weight_decay=0.0),
    Group(match="head.*", weight_decay=0.3),
)


def trained(backend: str, plan: Plan, data: tuple[np.ndarray, np.ndarray], steps: int = 6) -> tuple[EngineState, Any]:
    engine = load_backend(backend).compile(plan)
    engine.attach(*data)
    found, per_epoch = [], plan.steps_per_epoch
    for step in range(steps):
        found.append(engine.train_resident(np.arange(len(data[0])), step % per_epoch, step, np.array([0.1])))
    return engine.state(), np.concatenate(found)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_penalty_joins_the_gradient_before_clipping_and_no_loss(backend: str, make_plan: Maker, draw: Draw) -> None:
    """One dense layer under squared error, whose gradient is written out here."""
    model = {"regularizers": (Regularizer(match="*.kernel", l1=0.3, l2=0.2),)}
    sgd = {"name": "sgd", "weight_decay": 0.1}
    specs = [{"dense": {"units": 2}}]
    plan = make_plan(specs, (3,), target=(2,), optimizer=sgd, model=model, train={"clip_value": 0.4})
    x, y = draw(plan, n=8)
    start = plan.initial_weights()
    start["dense_1.kernel"][0, 0] = 0.0
    residual = x @ start["dense_1.kernel"] + start["dense_1.bias"] - y
    w = start["dense_1.kernel"]
    g = 2 * x.T @ residual / y.size + 0.3 * np.sign(w) + 2 * 0.2 * w
    engine = load_backend(backend).compile(plan)
    engine.restore(EngineState(start))
    (loss,) = engine.train_streamed([(x, y)], 0, np.array([0.5]))
    assert loss == pytest.approx((residual**2).mean(), rel=1e-13)
    expected = w - 0.5 * (np.clip(g, -0.4, 0.4) + 0.1 * w)
    np.testing.assert_allclose(engine.state().weights["dense_1.kernel"], expected, rtol=1e-12)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("backend", BACKENDS)
def test_limits_hold_after_every_update(backend: str, parts: int, make_plan: Maker, draw: Draw) -> None:
    train = {"micro_batches": parts, "ema": 0.5}
    plan = make_plan(CNN, (4, 4, 2), classes=3, model=EVERYTHING, train=train)
    state, _ = trained(backend, plan, draw(plan))
    norms = np.sqrt((state.weights["stem.kernel"] ** 2).sum((0, 1, 2)))
    assert norms.max() == pytest.approx(0.8, rel=1e-12)
    np.testing.assert_allclose((state.weights["head.kernel"] ** 2).sum(1), 1.0, rtol=1e-12)
    assert state.weights["batch_norm_1.scale"].min() >= 0
    assert np.sqrt((state.ema["stem.kernel"] ** 2).sum((0, 1, 2))).max() <= 0.8 + 1e-12


def test_a_depthwise_kernel_is_limited_along_its_own_axes(make_plan: Maker, draw: Draw) -> None:
    specs = [{"depthwise_conv2d": {"kernel": 3, "multiplier": 2, "name": "d"}}, "flatten", {"dense": {"units": 3}}]
    model = {"constraints": (Constraint(match="d.kernel", unit_norm=True, axis=(0, 1)),)}
    for backend in BACKENDS:
        plan = make_plan(specs, (4, 4, 2), classes=3, model=model)
        state, _ = trained(backend, plan, draw(plan), steps=1)
        np.testing.assert_allclose((state.weights["d.kernel"] ** 2).sum((0, 1)), 1.0, rtol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_groups_have_their_own_rate_and_decay(backend: str, make_plan: Maker, draw: Draw) -> None:
    def moved(**fields: Any) -> dict[str, np.ndarray]:
        plan = make_plan(CNN, (4, 4, 2), classes=3, optimizer={"name": "sgd", **fields})
        start = {k: v + 0.1 for k, v in plan.initial_weights().items()}
        engine = load_backend(backend).compile(plan)
        engine.restore(EngineState(start))
        engine.train_streamed([draw(plan, n=8)], 0, np.array([0.1]))
        after = engine.state().weights
        return {k: after[k] - start[k] for k in after} | {f"start {k}": v for k, v in start.items()}

    plain, grouped = moved(), moved(weight_decay=0.2, groups=GROUPS)
    np.testing.assert_allclose(grouped["stem.bias"], 2 * plain["stem.bias"], rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(grouped["head.bias"], 2 * plain["head.bias"], rtol=1e-10)
    kernel = plain["head.kernel"] - 0.1 * 0.3 * plain["start head.kernel"]
    np.testing.assert_allclose(grouped["head.kernel"], kernel, rtol=1e-10)
    kernel = plain["stem.kernel"] - 0.1 * 0.2 * plain["start stem.kernel"]
    np.testing.assert_allclose(grouped["stem.kernel"], kernel, rtol=1e-10)


@pytest.mark.parametrize("backend", BACKENDS)
def test_frozen_weights_stay_and_frozen_norms_use_their_statistics(backend: str, make_plan: Maker, draw: Draw) -> None:
    plan = make_plan(CNN, (4, 4, 2), classes=3, optimizer="adam", model={"freeze": ("stem.*", "batch_norm_1.*")})
    data = draw(plan)
    state, _ = trained(backend, plan, data)
    start = plan.initial_weights()
    for name, w in start.items():
        assert np.array_equal(state.weights[name], w) == (not name.startswith("head.")), name
    assert {name.rpartition("/")[0] for name in state.slots} == {"head.kernel", "head.bias"}


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "lamb"])
def test_both_backends_train_alike_with_every_rule(optimizer: str, make_plan: Maker, draw: Draw) -> None:
    choice = {"name": optimizer, "weight_decay": 0.1, "groups": GROUPS, "layer_decay": 0.7, "decay_kernels_only": True}
    # without a bias before the normalisation: its gradient is rounding alone, which Adam would blow up
    stem = {"conv2d": {"filters": 4, "kernel": 3, "padding": "same", "name": "stem", "bias": False}}
    model = {**EVERYTHING, "freeze": ("*.shift",)}
    plan = make_plan([stem, *CNN[1:]], (4, 4, 2), classes=3, optimizer=choice, model=model)
    data = draw(plan)
    (a, first), (b, second) = (trained(backend, plan, data, steps=20) for backend in BACKENDS)
    np.testing.assert_allclose(first, second, rtol=1e-11)
    for name, w in a.weights.items():
        np.testing.assert_allclose(b.weights[name], w, rtol=1e-9, atol=1e-12)


def test_a_plan_with_rules_resolves_to_itself(make_plan: Maker) -> None:
    plan = make_plan(CNN, (4, 4, 2), classes=3, model={**EVERYTHING, "freeze": ("stem.*",)})
    again = resolve(plan.recipe, plan.signature, plan.graph)
    assert again.updates() == plan.updates()
