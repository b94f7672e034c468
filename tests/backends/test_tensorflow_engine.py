"""The TensorFlow engine: bits that depend on nothing but the plan and the step, state, and how it compiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from dlrun.backends.base import EngineState  # noqa: E402
from dlrun.backends.tensorflow import BACKEND  # noqa: E402
from dlrun.backends.tensorflow.engine import TensorFlowEngine  # noqa: E402
from dlrun.errors import DlrunError  # noqa: E402
from dlrun.plan import Plan  # noqa: E402

MakePlan = Callable[..., Plan]
Draw = Callable[..., tuple[np.ndarray, np.ndarray]]

CNN: list[Any] = [
    {"conv2d": {"filters": 4, "kernel": 3, "padding": "same"}},
    "batch_norm",
    "relu",
    {
        "residual": {
            "layers": [{"conv2d": {"filters": 4, "kernel": 3, "padding": "same"}}, "batch_norm"],
            "activation": "relu",
        }
    },
    {"max_pool2d": {"size": 2}},
    {"dropout": {"rate": 0.3}},
    "flatten",
    {"dense": {"units": 8, "activation": "gelu"}},
    "layer_norm",
    "dense",
]
TRAIN = {"ema": 0.9, "clip_norm": 1.0}
STEPS = 5  # batches 8, 8, 8, 8, 5


@pytest.fixture(params=["float32", "float64"])
def plan(request: pytest.FixtureRequest, make_plan: MakePlan) -> Plan:
    return make_plan(
        CNN,
        (6, 6, 2),
        classes=3,
        samples=37,
        optimizer="adamw",
        precision=request.param,
        train=TRAIN,
        device={"threads": 2},
    )


def order_of(plan: Plan, epoch: int = 0) -> np.ndarray:
    return np.random.default_rng(epoch).permutation(plan.train_samples)


def rates_of(steps: int = STEPS) -> np.ndarray:
    return np.linspace(0.02, 0.01, steps)


def fresh(plan: Plan, draw: Draw) -> TensorFlowEngine:
    engine = BACKEND.compile(plan)
    engine.attach(*draw(plan))
    return engine


def epoch(engine: TensorFlowEngine, order: np.ndarray, chunk: int, first_step: int = 0) -> np.ndarray:
    rates = rates_of()
    return np.concatenate(
        [engine.train_resident(order, i, first_step + i, rates[i : i + chunk]) for i in range(0, STEPS, chunk)]
    )


def assert_same(a: EngineState, b: EngineState) -> None:
    """Every bit."""
    for ours, theirs in ((a.weights, b.weights), (a.slots, b.slots), (a.ema, b.ema)):
        assert list(ours) == list(theirs)
        for name, array in ours.items():
            np.testing.assert_array_equal(array, theirs[name], err_msg=name)
    assert a.scalars == b.scalars


def test_bits_do_not_depend_on_the_chunks(plan: Plan, draw: Draw) -> None:
    whole = fresh(plan, draw)
    expected = epoch(whole, order_of(plan), STEPS)
    assert expected.dtype == np.float64 and len(expected) == STEPS
    for chunk in (1, 3):
        engine = fresh(plan, draw)
        np.testing.assert_array_equal(epoch(engine, order_of(plan), chunk), expected)
        assert_same(engine.state(), whole.state())


def test_streamed_batches_give_the_bits_of_resident_ones(plan: Plan, draw: Draw) -> None:
    resident, streamed = fresh(plan, draw), BACKEND.compile(plan)
    (x, y), order = draw(plan), order_of(plan)
    batches = [(x[order[i : i + 8]], y[order[i : i + 8]]) for i in range(0, len(order), 8)]
    np.testing.assert_array_equal(
        streamed.train_streamed(batches, 0, rates_of()), resident.train_resident(order, 0, 0, rates_of())
    )
    assert_same(streamed.state(), resident.state())


def test_state_continues_in_another_engine(plan: Plan, draw: Draw) -> None:
    through, first = fresh(plan, draw), fresh(plan, draw)
    orders = [order_of(plan, 0), order_of(plan, 1)]
    expected = [epoch(through, order, STEPS, i * STEPS) for i, order in enumerate(orders)]
    first.train_resident(orders[0], 0, 0, rates_of()[:3])
    saved = first.state()
    epoch(first, orders[1], 2)  # a copy was taken: what follows must not change it

    second = fresh(plan, draw)
    second.restore(saved)
    np.testing.assert_array_equal(second.train_resident(orders[0], 3, 3, rates_of()[3:]), expected[0][3:])
    np.testing.assert_array_equal(epoch(second, orders[1], STEPS, STEPS), expected[1])
    assert_same(second.state(), through.state())


def test_nothing_is_traced_twice(plan: Plan, draw: Draw) -> None:
    engine = fresh(plan, draw)
    for number in range(3):
        epoch(engine, order_of(plan, number), 1 + number, number * STEPS)
    x, y = draw(plan, n=20)
    engine.attach(x, y)
    engine.train_resident(np.arange(20), 0, 0, rates_of(3))
    for n in (8, 8, 5, 3):
        engine.train_streamed([(x[:n], y[:n])], 0, rates_of(1))
        engine.infer(x[:n])
    programs = engine._programs
    assert [f.experimental_get_tracing_count() for f in (programs.chunk, programs.step, programs.averaged)] == [1, 1, 1]


def test_an_order_is_uploaded_once(plan: Plan, draw: Draw) -> None:
    engine, order = fresh(plan, draw), order_of(plan)
    engine.train_resident(order, 0, 0, rates_of(1))
    uploaded = engine._order_on_device
    engine.train_resident(order, 1, 1, rates_of(1))
    assert engine._order_on_device is uploaded
    engine.train_resident(order.copy(), 2, 2, rates_of(1))
    assert engine._order_on_device is not uploaded


def test_the_reference_is_followed_for_an_epoch(make_plan: MakePlan, draw: Draw) -> None:
    """A linear model under SGD with momentum, step by step in numpy."""
    plan = make_plan(
        ["flatten", {"dense": {"units": 2}}],
        (2, 2, 1),
        target=(2,),
        samples=19,
        optimizer={"name": "sgd", "momentum": 0.9, "weight_decay": 0.01},
    )
    (x, y), order, rates = draw(plan), order_of(plan), np.array([0.1, 0.05, 0.01])
    engine = fresh(plan, draw)
    w = plan.initial_weights()
    slots: dict[str, dict[str, np.ndarray]] = {n: {"momentum_buffer": np.zeros_like(v)} for n, v in w.items()}
    expected = []
    for t, rate in enumerate(rates, 1):
        chosen = order[8 * (t - 1) : 8 * t]
        xs, ys = x[chosen].reshape(len(chosen), -1), y[chosen]
        error = xs @ w["dense_1.kernel"] + w["dense_1.bias"] - ys
        expected.append((error**2).mean())
        grads = {"dense_1.kernel": xs.T @ error * 2 / error.size, "dense_1.bias": error.sum(0) * 2 / error.size}
        for name, g in grads.items():
            w[name] = plan.recipe.optimizer.update(w[name], g, slots[name], t, rate)
    np.testing.assert_allclose(engine.train_resident(order, 0, 0, rates), expected, rtol=1e-13)
    state = engine.state()
    for name in w:
        np.testing.assert_allclose(state.weights[name], w[name], rtol=1e-12)
        np.testing.assert_allclose(state.slots[f"{name}/momentum_buffer"], slots[name]["momentum_buffer"], rtol=1e-12)


def test_restoring_fills_missing_slots_with_zeros(plan: Plan, draw: Draw) -> None:
    engine = fresh(plan, draw)
    epoch(engine, order_of(plan), STEPS)
    state = engine.state()
    name = "dense_2.kernel"
    only = {f"{name}/exp_avg": state.slots[f"{name}/exp_avg"], f"{name}/momentum_buffer": state.weights[name]}
    engine.restore(EngineState({name: 2 * state.weights[name]}, only, scalars=state.scalars))
    after = engine.state()
    np.testing.assert_array_equal(after.weights[name], 2 * state.weights[name])
    np.testing.assert_array_equal(after.weights["conv2d_1.kernel"], state.weights["conv2d_1.kernel"])
    np.testing.assert_array_equal(after.slots[f"{name}/exp_avg"], state.slots[f"{name}/exp_avg"])
    assert list(after.slots) == list(state.slots)
    assert not any(slot.any() for key, slot in after.slots.items() if key != f"{name}/exp_avg")


def test_a_checkpoint_of_another_model_is_refused(plan: Plan, draw: Draw) -> None:
    engine = fresh(plan, draw)
    before = engine.state()
    shape = before.weights["dense_1.kernel"].shape
    bad = EngineState(
        {"dense_1.kernel": np.zeros((1, 2)), "dense_1.bias": np.ones(8), "dense_9.kernel": np.zeros(3)},
        {"dense_9.kernel/exp_avg": np.zeros(3), "conv2d_1.bias/exp_avg": np.zeros(9)},
    )
    with pytest.raises(DlrunError) as caught:
        engine.restore(bad)
    assert caught.value.code == "checkpoint-mismatch"
    for part in ("`dense_1.kernel`", "(1, 2)", str(shape), "`dense_9.kernel`", "conv2d_1.bias"):
        assert part in caught.value.message
    assert_same(engine.state(), before)


def test_eager_and_compiled_agree_with_the_graph(make_plan: MakePlan, draw: Draw) -> None:
    specs = [
        # No bias before a norm: its gradient is rounding alone, which Adam brings to full size.
        {"conv2d": {"filters": 4, "kernel": 3, "bias": False}},
        "batch_norm",
        {"max_pool2d": {"size": 2, "padding": "same"}},
        {"dropout": {"rate": 0.3}},
        "flatten",
    ]
    found = {}
    for how in ({}, {"eager": True}, {"compile": True}):
        train = {**TRAIN, "micro_batches": 2, "portable_dropout": True}
        plan = make_plan([*specs, "dense"], (5, 5, 2), classes=3, optimizer="adamw", train=train, backend=how)
        engine = fresh(plan, draw)
        losses = engine.train_resident(order_of(plan), 0, 0, rates_of(3))
        streamed = engine.train_streamed([draw(plan, n=8)], 3, rates_of(1))
        found[str(how)] = np.concatenate([losses, streamed]), engine.infer(draw(plan)[0]), engine.describe()["notes"]
    (graph, *_), (eager, _, slow), (compiled, _, xla) = found.values()
    np.testing.assert_allclose(eager, graph, rtol=1e-12)
    np.testing.assert_allclose(compiled, graph, rtol=1e-10)
    outputs = [output for _, output, _ in found.values()]
    np.testing.assert_allclose(outputs[1], outputs[0], rtol=1e-10)
    np.testing.assert_allclose(outputs[2], outputs[0], rtol=1e-8)
    assert "eager" in slow[-1] and "XLA" in xla[-1]


def test_native_is_the_model_being_trained(plan: Plan, draw: Draw) -> None:
    import keras

    engine = fresh(plan, draw)
    model = engine.native()
    assert isinstance(model, keras.Model)
    before = model.get_layer("dense_2").kernel.numpy().copy()
    epoch(engine, order_of(plan), STEPS)
    after = model.get_layer("dense_2").kernel.numpy()
    assert (after != before).any()
    np.testing.assert_array_equal(after, engine.state().weights["dense_2.kernel"])
