"""What an update does in torch: optimizers, losses, clipping, micro-batches, averages, dropout, precision."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from dlrun.backends import load_backend
from dlrun.backends.base import EngineState
from dlrun.backends.torch.dropout import Dropout
from dlrun.backends.torch.engine import TorchEngine
from dlrun.errors import DlrunError, RunError
from dlrun.plan import Plan
from dlrun.randomness import derive, epoch_order, keep_mask, step_key
from dlrun.recipe import Train

Maker = Callable[..., Plan]
Draw = Callable[..., tuple[np.ndarray, np.ndarray]]

MLP: list[Any] = ["flatten", {"dense": {"units": 9, "activation": "tanh"}}, {"dense": {"units": 3}}]
CNN: list[Any] = [
    {"conv2d": {"filters": 4, "kernel": 3, "padding": "same", "stride": 2}},
    "batch_norm",
    "relu",
    {"residual": {"layers": [{"conv2d": {"filters": 4, "kernel": 3, "padding": "same"}}, "layer_norm"]}},
    {"max_pool2d": {"size": 2}},
    "flatten",
    {"dropout": {"rate": 0.3}},
    {"dense": {"units": 3}},
]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Small tensors gain nothing from more, and tests share the machine."""
    torch.set_num_threads(1)


def compiled(plan: Plan) -> TorchEngine:
    return load_backend("torch").compile(plan)


def train(
    plan: Plan, data: tuple[np.ndarray, np.ndarray], steps: int, engine: TorchEngine | None = None, first: int = 0
):
    """Engine and losses after some updates, in epochs of one order each."""
    engine = engine or compiled(plan)
    engine.attach(*data)
    per_epoch, found = plan.steps_per_epoch, []
    for step in range(first, first + steps):
        order = epoch_order(7, step // per_epoch, len(data[0]))
        found.append(engine.train_resident(order, step % per_epoch, step, np.array([rate(plan, step)])))
    return engine, np.concatenate(found)


def rate(plan: Plan, step: int) -> float:
    return plan.recipe.optimizer.learning_rate * (1.0 if step < 30 else 0.1)


def changed(plan: Plan, **fields: Any) -> Plan:
    """The plan with other fields in its recipe."""
    return dataclasses.replace(plan, recipe=dataclasses.replace(plan.recipe, **fields))


def same_bits(a: EngineState, b: EngineState) -> bool:
    pairs = [(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(EngineState)]
    return all(x.keys() == y.keys() and all(np.array_equal(x[k], y[k]) for k in x) for x, y in pairs)


# Optimizers


CHOICES = [
    {"name": "sgd", "learning_rate": 0.1},
    {"name": "sgd", "learning_rate": 0.1, "weight_decay": 0.1},
    {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9, "weight_decay": 0.05},
    {"name": "sgd", "learning_rate": 0.05, "momentum": 0.8, "nesterov": True},
    {"name": "adam", "learning_rate": 0.02},
    {"name": "adam", "learning_rate": 0.02, "betas": (0.8, 0.9), "epsilon": 1e-3, "weight_decay": 0.1},
    {"name": "adam", "learning_rate": 0.02, "betas": (0.0, 0.9)},
    {"name": "adamw", "learning_rate": 0.02, "weight_decay": 0.2},
    {"name": "rmsprop", "learning_rate": 0.02, "weight_decay": 0.05},
    {"name": "rmsprop", "learning_rate": 0.02, "alpha": 0.9, "momentum": 0.5},
    {"name": "rmsprop", "learning_rate": 0.02, "alpha": 0.9, "momentum": 0.5, "centered": True, "epsilon": 1e-4},
]


@pytest.mark.parametrize(("precision", "gate"), [("float64", 1e-12), ("float32", 1e-4)])
@pytest.mark.parametrize("choice", CHOICES, ids=lambda c: "-".join(str(v) for v in c.values()))
def test_sixty_updates_are_the_numpy_reference(
    make_plan: Maker, draw: Draw, choice: dict[str, Any], precision: str, gate: float
) -> None:
    """A linear model under squared error, whose gradient is written out here."""
    plan = make_plan([{"dense": {"units": 2}}], (4,), target=(2,), optimizer=choice, precision=precision)
    x, y = draw(plan)
    spec = plan.recipe.optimizer
    w = {k: v.astype(np.float64) for k, v in plan.initial_weights().items()}
    start = {k: v.copy() for k, v in w.items()}
    slots = {k: spec.new_slots(v.shape) for k, v in w.items()}
    expected = []
    for step in range(60):
        rows = epoch_order(7, step // 3, 24)[step % 3 * 8 :][:8]
        residual = x[rows] @ w["dense_1.kernel"] + w["dense_1.bias"] - y[rows]
        expected.append((residual**2).mean())
        g = {"dense_1.kernel": 2 * x[rows].T @ residual / 16, "dense_1.bias": 2 * residual.sum(0) / 16}
        for k in w:
            w[k] = spec.update(w[k], g[k].astype(np.float64), slots[k], step + 1, rate(plan, step))
    engine, found = train(plan, (x, y), 60)
    np.testing.assert_allclose(found, expected, rtol=gate)
    state = engine.state()
    for k in w:
        assert np.abs(state.weights[k] - w[k]).max() <= gate * np.abs(w[k] - start[k]).max()
        for s in slots[k]:
            np.testing.assert_allclose(state.slots[f"{k}/{s}"], slots[k][s], rtol=gate, atol=gate * 1e-2)


def test_decay_spares_weights_that_say_so(make_plan: Maker, draw: Draw) -> None:
    optimizer = {"name": "adamw", "learning_rate": 1e-9, "weight_decay": 1e8}
    plan = make_plan([{"dense": {"units": 3}}], (4,), classes=3, optimizer=optimizer)
    (node,) = plan.graph.nodes
    kernel, bias = node.weights
    node = dataclasses.replace(node, weights=(kernel, dataclasses.replace(bias, decay=False)))
    plan = dataclasses.replace(plan, graph=dataclasses.replace(plan.graph, nodes=(node,)))
    engine = compiled(plan)
    engine.restore(EngineState({"dense_1.kernel": np.ones((4, 3)), "dense_1.bias": np.ones(3)}))
    after = train(plan, draw(plan), 1, engine)[0].state().weights
    np.testing.assert_allclose(after["dense_1.kernel"], 0.9, atol=1e-6)
    np.testing.assert_allclose(after["dense_1.bias"], 1.0, atol=1e-6)


# Losses


@pytest.mark.parametrize("parts", [1, 3])
def test_no_weight_left_is_no_loss_and_no_update(make_plan: Maker, draw: Draw, parts: int) -> None:
    loss = {"name": "softmax_cross_entropy", "class_weights": (0.0, 1.0, 1.0)}
    plan = make_plan(MLP, (2, 2, 1), classes=3, loss=loss, train={"micro_batches": parts})
    x, y = draw(plan)
    engine, found = train(plan, (x, np.zeros_like(y)), 1)
    assert found.tolist() == [0.0]
    assert same_bits(engine.state(), EngineState(plan.initial_weights()))


# Batches in parts, clipping, averages

LOSSES = [
    ({"name": "softmax_cross_entropy"}, "ids"),
    ({"name": "softmax_cross_entropy", "class_weights": (1.0, 2.0, 0.0), "label_smoothing": 0.1}, "ids"),
    ({"name": "binary_cross_entropy"}, "bits"),
    ({"name": "mse"}, "bits"),
]


@pytest.mark.parametrize(("fields", "labels"), LOSSES, ids=str)
@pytest.mark.parametrize("parts", [2, 3, 8])
def test_a_batch_in_parts_is_the_batch(
    make_plan: Maker, draw: Draw, fields: dict[str, Any], labels: str, parts: int
) -> None:
    shape: dict[str, Any] = {"classes": 3} if labels == "ids" else {"target": (3,)}
    specs = [*MLP[:2], {"dropout": {"rate": 0.4}}, MLP[2]]

    def run(k: int) -> tuple[TorchEngine, np.ndarray]:
        options = {"micro_batches": k, "portable_dropout": True, "clip_norm": 0.5}
        plan = make_plan(specs, (2, 2, 1), loss=fields, optimizer="adam", train=options, samples=21, **shape)
        x, y = draw(plan)
        return train(plan, (x, y if labels == "ids" else (y > 0).astype(np.float32)), 9)

    (whole, expected), (split, found) = run(1), run(parts)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    for k, v in whole.state().weights.items():
        np.testing.assert_allclose(split.state().weights[k], v, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(("value", "norm"), [(None, 0.1), (0.02, None), (0.05, 0.1), (None, 1e6)])
def test_clipping(make_plan: Maker, draw: Draw, value: float | None, norm: float | None) -> None:
    """Plain SGD moves weights by the clipped gradient, decay added after clipping."""

    def moved(**options: Any) -> dict[str, np.ndarray]:
        optimizer = {"name": "sgd", "learning_rate": 1.0, "weight_decay": 0.1 if options else 0.0}
        plan = make_plan(MLP, (2, 2, 1), classes=3, optimizer=optimizer, train=options)
        start = plan.initial_weights()
        after = train(plan, draw(plan), 1)[0].state().weights
        return {k: start[k] - v - (0.1 * start[k] if options else 0) for k, v in after.items()}

    g = moved()
    if value is not None:
        g = {k: np.clip(v, -value, value) for k, v in g.items()}
    if norm is not None:
        total = np.sqrt(sum((v**2).sum() for v in g.values()))
        g = {k: v * min(1, norm / (total + 1e-6)) for k, v in g.items()}
    found = moved(clip_value=value, clip_norm=norm)
    for k in g:
        np.testing.assert_allclose(found[k], g[k], rtol=1e-12, atol=1e-15)


def test_moving_average(make_plan: Maker, draw: Draw) -> None:
    plan = make_plan(CNN, (8, 8, 2), classes=3, optimizer="adam", train={"ema": 0.8})
    data = draw(plan)
    engine = compiled(plan)
    assert engine.state().ema == {}
    np.testing.assert_array_equal(engine.infer(data[0]), compiled(plan).infer(data[0]))
    expected: dict[str, np.ndarray] = {}
    trained = {name for name, w in plan.graph.weights() if w.trainable}
    for step in range(4):
        train(plan, data, 1, engine, step)
        now = engine.state().weights
        expected = {k: 0.8 * expected[k] + 0.2 * v if step and k in trained else v.copy() for k, v in now.items()}
    state = engine.state()
    for k, v in expected.items():
        np.testing.assert_allclose(state.ema[k], v, rtol=1e-12, atol=1e-15)
    plain = compiled(changed(plan, train=Train()))
    plain.restore(EngineState(state.ema))
    np.testing.assert_array_equal(engine.infer(data[0]), plain.infer(data[0]))


# Dropout


def test_portable_masks_are_the_reference_bits(make_plan: Maker, draw: Draw) -> None:
    """The layer itself: kept elements are scaled, the others 0, also in parts of a batch."""
    specs = [{"dropout": {"rate": 0.3, "name": "drop"}}, "flatten", {"dense": {"units": 3}}]
    plan = make_plan(specs, (3, 4, 2), classes=3, train={"portable_dropout": True})
    engine = compiled(plan)
    layer = next(m for m in engine.native().modules() if isinstance(m, Dropout))
    key = step_key(derive(plan.recipe.seed, "dropout", "drop"), 5)
    kept = keep_mask(key, (6, 3, 4, 2), 0.3)
    assert layer._clock is not None
    layer._clock.step = 5
    x = torch.ones(6, 3, 4, 2, dtype=torch.float64).permute(0, 3, 1, 2)
    np.testing.assert_array_equal(layer(x).permute(0, 2, 3, 1).numpy(), kept / 0.7)
    layer._clock.first_sample, layer._clock.micro_batch = 4, 1
    np.testing.assert_array_equal(layer(x[4:]).permute(0, 2, 3, 1).numpy(), kept[4:] / 0.7)


def test_native_masks_depend_on_seed_layer_step_and_part_only(make_plan: Maker) -> None:
    specs = [{"dropout": {"rate": 0.25, "name": n}} for n in ("a", "b")]
    plan = make_plan([*specs, {"dense": {"units": 3}}], (1000,), classes=3)
    x = torch.ones(40, 1000, dtype=torch.float64)

    def masks(seed: int = 3, step: int = 0, part: int = 0) -> list[np.ndarray]:
        engine = compiled(changed(plan, seed=seed))
        found = []
        for m in engine.native().modules():
            if isinstance(m, Dropout):
                m._clock.step, m._clock.micro_batch = step, part
                torch.rand(3)
                found.append(m(x).numpy())
        return found

    a, b = masks()
    assert abs((a == 0).mean() - 0.25) < 0.01
    assert set(np.unique(a)) == {0.0, 1 / 0.75}
    np.testing.assert_array_equal(masks()[0], a)
    for other in (b, masks(seed=4)[0], masks(step=1)[0], masks(part=1)[0]):
        assert abs((other == a).mean() - (0.75**2 + 0.25**2)) < 0.02


# Precision


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_is_for_convolutions_dense_layers_and_batch_norm(
    make_plan: Maker, draw: Draw, precision: str
) -> None:
    plan = make_plan([*CNN, "softmax"], (8, 8, 2), classes=3, precision=precision)
    engine = compiled(plan)
    formats: dict[str, set[torch.dtype]] = {}
    for module in engine.native().modules():
        if not list(module.children()):
            module.register_forward_hook(
                lambda m, inputs, output: formats.setdefault(type(m).__name__, set()).add(output.dtype)
            )
    train(plan, draw(plan), 1, engine)
    assert formats["Conv2d"] == formats["BatchNorm2d"] == formats["Linear"] == {getattr(torch, precision)}
    for kind in ("ChannelLayerNorm", "Softmax"):
        assert formats[kind] == {torch.float32}, kind


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_batch_norm_computes_in_float32_on_half_precision(make_plan: Maker, precision: str) -> None:
    """A mean of 1,024 values around 100 has seven digits, although bfloat16 has three and a sum in it would stop."""
    plan = make_plan(["batch_norm", "flatten", {"dense": {"units": 3}}], (32, 32, 2), classes=3, precision=precision)
    norm = next(m for m in compiled(plan).native().modules() if isinstance(m, torch.nn.BatchNorm2d))
    x = torch.from_numpy(100 + np.random.default_rng(3).standard_normal((1, 2, 32, 32))).to(getattr(torch, precision))
    norm.momentum = 1.0
    y = norm(x).detach()
    seen = x.double()
    torch.testing.assert_close(norm.running_mean.double(), seen.mean((0, 2, 3)), rtol=1e-6, atol=0)
    torch.testing.assert_close(norm.running_var.double(), seen.var((0, 2, 3), unbiased=True), rtol=1e-3, atol=0)
    assert (norm.running_mean.dtype, y.dtype) == (torch.float32, x.dtype)
    assert y.double().std() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision_trains(make_plan: Maker, draw: Draw, precision: str) -> None:
    plan = make_plan(
        [*CNN[:4], {"dropout": {"rate": 0.1}}, *CNN[4:6], CNN[7]],
        (8, 8, 2),
        classes=3,
        optimizer={"name": "adam", "learning_rate": 0.01},
        precision=precision,
    )
    x, y = draw(plan)
    x[np.arange(24), 0, 0, 0] += 3.0 * y  # something to learn
    engine, found = train(plan, (x, y), 45)
    assert np.isfinite(found).all()
    assert found[-3:].mean() < 0.6 * found[:3].mean()
    state = engine.state()
    assert all(v.dtype == np.float32 for v in state.weights.values())
    assert engine.infer(x).dtype == np.float32
    assert set(state.scalars) == ({"loss_scale", "clean_steps"} if precision == "float16" else set())
    single = compiled(changed(plan, precision="float32"))
    single.restore(EngineState(state.weights))
    difference = np.abs(single.infer(x) - engine.infer(x)).max()
    assert 0 < difference < 0.3, "only rounding may differ, and some must"


def test_float16_overflow_skips_the_update(make_plan: Maker, draw: Draw) -> None:
    plan = make_plan(MLP, (2, 2, 1), classes=3, optimizer="adam", precision="float16", train={"ema": 0.9})
    engine = compiled(plan)
    before = engine.state()
    before.scalars = {"loss_scale": 2.0**40, "clean_steps": 3.0}
    engine.restore(before)
    train(plan, draw(plan), 1, engine)
    after = engine.state()
    assert after.scalars == {"loss_scale": 2.0**39, "clean_steps": 0.0}
    assert same_bits(EngineState(after.weights, after.slots, after.ema), EngineState(before.weights, before.slots))
    engine.restore(dataclasses.replace(before, scalars={"loss_scale": 4.0, "clean_steps": 1999.0}))
    train(plan, draw(plan), 1, engine, first=1)
    assert engine.state().scalars == {"loss_scale": 8.0, "clean_steps": 0.0}
    assert not same_bits(EngineState(engine.state().weights), EngineState(before.weights))


def test_float16_scaling_changes_nothing_but_rounding(make_plan: Maker, draw: Draw) -> None:
    plan = make_plan(MLP, (2, 2, 1), classes=3, optimizer={"name": "sgd", "learning_rate": 0.1}, precision="float16")
    results = []
    for scale in (2.0**4, 2.0**12):
        engine = compiled(plan)
        engine.restore(EngineState({}, scalars={"loss_scale": scale}))
        results.append(train(plan, draw(plan), 12, engine)[1])
    np.testing.assert_allclose(*results, rtol=5e-3)


# Batches too small, nothing to train


@pytest.mark.parametrize(("samples", "parts"), [(17, 1), (19, 2)])
def test_batch_norm_refuses_one_value_per_channel(make_plan: Maker, draw: Draw, samples: int, parts: int) -> None:
    """Batches that the recipe does not name: those of a caller."""
    plan = make_plan(["batch_norm", {"dense": {"units": 3}}], (4,), classes=3, train={"micro_batches": parts})
    engine = compiled(plan)
    x, y = draw(plan)
    engine.attach(x, y)
    rates, small = np.array([0.1]), (x[16:samples], y[16:samples])
    for refused in (
        lambda: engine.train_resident(np.arange(samples), 2, 0, rates),
        lambda: engine.train_streamed([small], 0, rates),
        lambda: engine.gradients(small, 0),
    ):
        with pytest.raises(DlrunError, match="one value per channel") as caught:
            refused()
        assert caught.value.code == "batch-too-small" and "`batch_norm_1`" in caught.value.message
    assert np.isfinite(engine.train_resident(np.arange(24), 2, 0, rates)).all()


def test_a_single_image_has_many_values_per_channel(make_plan: Maker, draw: Draw) -> None:
    plan = make_plan(["batch_norm", "flatten", {"dense": {"units": 3}}], (2, 2, 1), classes=3, batch_size=23)
    assert plan.train_samples % 23 == 1
    _, found = train(plan, draw(plan), 2)
    assert np.isfinite(found).all()


def test_a_model_without_weights_runs_but_does_not_train(make_plan: Maker, draw: Draw) -> None:
    plan = make_plan(["relu"], (3,), target=(3,))
    engine = compiled(plan)
    x, y = draw(plan)
    np.testing.assert_array_equal(engine.infer(x), np.maximum(x, 0))
    with pytest.raises(RunError) as caught:
        train(plan, (x, y), 1, engine)
    assert caught.value.code == "nothing-to-train"
