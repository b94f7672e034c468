"""The torch engine: bits, state, names, devices."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from dlrun.backends import load_backend
from dlrun.backends.base import EngineState
from dlrun.backends.torch import device as devices
from dlrun.backends.torch.engine import TorchEngine
from dlrun.errors import DlrunError, RunError
from dlrun.plan import Plan
from dlrun.randomness import epoch_order
from dlrun.recipe import Device

Maker = Callable[..., Plan]
Draw = Callable[..., tuple[np.ndarray, np.ndarray]]

BRANCHED: list[Any] = [
    {"conv2d": {"filters": 4, "kernel": 3, "padding": "same", "stride": 2, "activation": "relu"}},
    "batch_norm",
    {"residual": {"layers": [{"conv2d": {"filters": 4, "kernel": 3, "padding": "same"}}, "layer_norm"]}},
    "flatten",
    {"dropout": {"rate": 0.3}},
    {"dense": {"units": 3}},
]
CHAIN: list[Any] = [
    "flatten",
    {"repeat": {"times": 2, "layers": [{"dense": {"units": 6, "activation": "relu"}}, {"dropout": {"rate": 0.2}}]}},
    {"dense": {"units": 3}},
]
EVERYTHING = {"ema": 0.9, "clip_norm": 1.0, "clip_value": 0.5}
OPTIMIZER = {"name": "adamw", "learning_rate": 0.01}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Small tensors gain nothing from more, and tests share the machine."""
    torch.set_num_threads(1)


def compiled(plan: Plan) -> TorchEngine:
    return load_backend("torch").compile(plan)


@pytest.fixture(params=["float32-chain", "float32-branched", "float32-parts", "float16-branched", "bfloat16-chain"])
def plan(request: pytest.FixtureRequest, make_plan: Maker) -> Plan:
    precision, kind = request.param.split("-")
    train = {**EVERYTHING, "micro_batches": 3 if kind == "parts" else 1}
    specs = CHAIN if kind == "chain" else BRANCHED
    return make_plan(specs, (6, 6, 2), classes=3, optimizer=OPTIMIZER, precision=precision, train=train, samples=50)


def run(engine: TorchEngine, first: int, steps: int, chunk: int, per_epoch: int = 7) -> np.ndarray:
    """Updates ``first`` to ``first + steps``, ``chunk`` a call but never beyond an epoch."""
    found, step = [], first
    while step < first + steps:
        epoch, position = divmod(step, per_epoch)
        n = min(chunk, first + steps - step, per_epoch - position)
        rates = np.linspace(0.01, 0.001, 100)[step : step + n]
        found.append(engine.train_resident(epoch_order(1, epoch, 50), position, step, rates))
        step += n
    return np.concatenate(found)


def assert_same(a: EngineState, b: EngineState) -> None:
    assert a.scalars == b.scalars
    for field in ("weights", "slots", "ema"):
        x, y = getattr(a, field), getattr(b, field)
        assert x.keys() == y.keys()
        for k in x:
            np.testing.assert_array_equal(x[k], y[k], err_msg=f"{field} {k}")


def test_bits_do_not_depend_on_calls(plan: Plan, draw: Draw) -> None:
    x, y = draw(plan)
    results = []
    for chunk in (7, 7, 1, 3):
        engine = compiled(plan)
        engine.attach(x, y)
        results.append((run(engine, 0, 16, chunk), engine.state()))
    watched = compiled(plan)
    watched.attach(x, y)
    losses = []
    for step in range(16):
        losses.append(run(watched, step, 1, 1))
        watched.state()
        watched.infer(x[:5])
        watched.describe()
    results.append((np.concatenate(losses), watched.state()))
    for losses_, state in results[1:]:
        assert losses_.dtype == np.float64
        np.testing.assert_array_equal(losses_, results[0][0])
        assert_same(state, results[0][1])
    assert len(set(results[0][0])) == 16


def test_streamed_is_resident(plan: Plan, draw: Draw) -> None:
    x, y = draw(plan)
    resident, streamed = compiled(plan), compiled(plan)
    resident.attach(x, y)
    expected = run(resident, 0, 7, 7)
    order = epoch_order(1, 0, 50)
    batches = [(x[rows], y[rows]) for rows in (order[i * 8 : i * 8 + 8] for i in range(7))]
    rates = np.linspace(0.01, 0.001, 100)
    found = [streamed.train_streamed(batches[:3], 0, rates[:3]), streamed.train_streamed(batches[3:], 3, rates[3:7])]
    np.testing.assert_array_equal(np.concatenate(found), expected)
    assert_same(streamed.state(), resident.state())


def test_resuming_midway_is_the_uninterrupted_run(plan: Plan, draw: Draw) -> None:
    x, y = draw(plan)
    whole = compiled(plan)
    whole.attach(x, y)
    expected = run(whole, 0, 16, 7)
    first = compiled(plan)
    first.attach(x, y)
    run(first, 0, 9, 7)
    state = first.state()
    second = compiled(plan)
    second.attach(x, y)
    run(second, 0, 2, 2)  # what it did before must not matter
    second.restore(state)
    np.testing.assert_array_equal(second.infer(x), first.infer(x))
    np.testing.assert_array_equal(run(second, 9, 7, 7), expected[9:])
    assert_same(second.state(), whole.state())
    run(first, 9, 7, 7)
    assert_same(first.state(), whole.state())


def test_state_is_a_copy_with_canonical_names(plan: Plan, draw: Draw) -> None:
    engine = compiled(plan)
    engine.attach(*draw(plan))
    run(engine, 0, 7, 7)  # float16 skips a few until its scale fits
    state = engine.state()
    before = {k: v.copy() for k, v in state.weights.items()}
    run(engine, 7, 3, 3)
    for k, v in before.items():
        np.testing.assert_array_equal(state.weights[k], v)
    shapes = {name: w.shape for name, w in plan.graph.weights()}
    trained = {name for name, w in plan.graph.weights() if w.trainable}
    assert {k: v.shape for k, v in state.weights.items()} == shapes
    assert {k: v.shape for k, v in state.ema.items()} == shapes
    assert {k: v.shape for k, v in state.slots.items()} == {
        f"{k}/{slot}": shapes[k] for k in trained for slot in ("exp_avg", "exp_avg_sq")
    }


def test_starts_at_the_plans_weights(plan: Plan) -> None:
    state = compiled(plan).state()
    expected = plan.initial_weights()
    assert state.weights.keys() == expected.keys()
    for k, v in expected.items():
        np.testing.assert_array_equal(state.weights[k], v)
        assert state.weights[k].dtype == v.dtype
    assert all(not v.any() for v in state.slots.values())


def test_restore_of_weights_alone_clears_the_rest(plan: Plan, draw: Draw) -> None:
    engine = compiled(plan)
    engine.attach(*draw(plan))
    run(engine, 0, 3, 3)
    engine.restore(EngineState(plan.initial_weights()))
    assert_same(engine.state(), compiled(plan).state())


def test_restore_leaves_out_what_the_recipe_does_not_keep(make_plan: Maker, draw: Draw) -> None:
    momentum = make_plan(CHAIN, (6, 6, 2), classes=3, optimizer={"name": "sgd", "momentum": 0.9}, train={"ema": 0.9})
    engine = compiled(momentum)
    engine.attach(*draw(momentum))
    engine.train_resident(np.arange(24), 0, 0, np.array([0.1]))
    state = engine.state()
    assert state.slots
    plain = compiled(make_plan(CHAIN, (6, 6, 2), classes=3, optimizer="sgd"))
    plain.restore(state)
    assert_same(plain.state(), EngineState(state.weights))


def test_checkpoints_of_other_models_are_refused(make_plan: Maker) -> None:
    engine = compiled(make_plan(CHAIN, (6, 6, 2), classes=3, optimizer="adam"))
    before = engine.state()
    ok = {"dense_1.bias": np.ones(3)}
    for state, words in (
        (EngineState({**ok, "dense_9.kernel": np.ones(3)}), ["weight `dense_9.kernel` is not in the model"]),
        (EngineState({**ok, "dense_1.kernel": np.ones((3, 6))}), ["`dense_1.kernel`", "(3, 6)", "(6, 3)"]),
        (EngineState(ok, {"other.kernel/exp_avg": np.ones(3)}), ["`exp_avg` of `other.kernel`"]),
        (EngineState(ok, {"dense_1.bias/exp_avg": np.ones(4)}), ["`dense_1.bias`", "(4,)", "(3,)"]),
        (EngineState(ok, ema={"other.kernel": np.ones(3)}), ["average of `other.kernel`"]),
    ):
        with pytest.raises(DlrunError) as caught:
            engine.restore(state)
        assert caught.value.code == "checkpoint-mismatch"
        assert all(w in str(caught.value) for w in words), str(caught.value)
    assert_same(engine.state(), before)


def test_chains_and_branches_keep_their_names(make_plan: Maker) -> None:
    chain = compiled(make_plan(CHAIN, (6, 6, 2), classes=3)).native()
    assert type(chain) is torch.nn.Sequential
    names = dict(chain.named_modules())
    assert type(names["repeat_1.2.dense_1"]) is torch.nn.Linear
    assert type(names["repeat_1.2"]) is torch.nn.Sequential
    branched = dict(compiled(make_plan(BRANCHED, (6, 6, 2), classes=3)).native().named_modules())
    assert type(branched["residual_1.conv2d_1"]) is torch.nn.Conv2d


def test_names_that_torch_has_taken(make_plan: Maker, draw: Draw) -> None:
    specs = [
        {"dense": {"units": 4, "name": "train"}},
        {"dense": {"units": 4, "name": "float"}},
        {"residual": {"name": "_walk", "layers": [{"dense": {"units": 4, "name": "forward"}}]}},
        {"dense": {"units": 3, "name": "append"}},
    ]
    for chosen in (specs, [*specs[:2], specs[3]]):
        plan = make_plan(chosen, (4,), classes=3)
        engine = compiled(plan)
        engine.attach(*draw(plan))
        assert np.isfinite(engine.train_resident(np.arange(24), 0, 0, np.array([0.1]))).all()
        assert engine.state().weights.keys() == {k for k, _ in plan.graph.weights()}


def test_outputs_that_are_images_come_back_channels_last(make_plan: Maker, draw: Draw) -> None:
    specs = [{"conv2d": {"filters": 5, "kernel": 1, "bias": False}}]
    plan = make_plan(specs, (4, 3, 2), target=(4, 3, 5))
    x, y = draw(plan)
    engine = compiled(plan)
    expected = x @ plan.initial_weights()["conv2d_1.kernel"][0, 0]
    found = engine.infer(x)
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert found.flags.c_contiguous
    engine.attach(x, y)
    loss = engine.train_resident(np.arange(24), 0, 0, np.array([0.1]))
    np.testing.assert_allclose(loss, [((expected - y)[:8] ** 2).mean()], rtol=1e-13)


def test_inference_is_evaluation(make_plan: Maker, draw: Draw) -> None:
    plan = make_plan(BRANCHED, (6, 6, 2), classes=3, precision="float32")
    x, _ = draw(plan)
    engine = compiled(plan)
    found = engine.infer(x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.concatenate([engine.infer(x[:1]), engine.infer(x[1:])]), found, rtol=1e-4, atol=1e-6)
    assert_same(engine.state(), EngineState(plan.initial_weights()))


def test_read_only_samples_are_taken_quietly(make_plan: Maker, draw: Draw, recwarn: pytest.WarningsRecorder) -> None:
    plan = make_plan(CHAIN, (6, 6, 2), classes=3)
    x, y = draw(plan)
    x.flags.writeable = y.flags.writeable = False
    engine = compiled(plan)
    engine.attach(x, y)
    engine.train_streamed([(x[:8], y[:8])], 0, np.array([0.1]))
    engine.infer(x)
    assert not recwarn.list


def test_description_is_json_ready(make_plan: Maker) -> None:
    plan = make_plan(CHAIN, (6, 6, 2), classes=3, device={"threads": 1, "deterministic": False})
    found = compiled(plan).describe()
    assert json.loads(json.dumps(found)) == found
    assert found["device"] == "cpu"
    assert found["threads"] == 1
    assert found["deterministic"] is False
    assert found["versions"]["torch"] == torch.__version__
    plan = make_plan(CHAIN, (6, 6, 2), classes=3, device={"threads": 2})
    found = compiled(plan).describe()
    assert (found["threads"], found["deterministic"], found["notes"]) == (2, True, [])


@pytest.mark.slow
def test_compiled_steps_are_the_same_training(make_plan: Maker, draw: Draw) -> None:
    make: dict[str, Any] = {"classes": 3, "optimizer": OPTIMIZER, "samples": 50}
    plain = compiled(make_plan(BRANCHED, (6, 6, 2), **make))
    plan = make_plan(BRANCHED, (6, 6, 2), **make, backend={"compile": True})
    faster = compiled(plan)
    assert "CPU" in faster.describe()["notes"][0]
    for engine in (plain, faster):
        engine.attach(*draw(plan))
    np.testing.assert_allclose(run(faster, 0, 16, 7), run(plain, 0, 16, 7), rtol=1e-10)


def test_memory_that_runs_out_is_said_so(make_plan: Maker) -> None:
    plan = make_plan([{"dense": {"units": 3}}], (4,), classes=3, precision="float32")
    engine = compiled(plan)
    with pytest.raises(RunError) as caught, engine._memory_errors():
        torch.empty(1 << 60)
    assert caught.value.code == "out-of-memory"
    with pytest.raises(RuntimeError, match="size of tensor"), engine._memory_errors():
        torch.ones(2) + torch.ones(3)


# Devices


def test_devices_seen() -> None:
    assert load_backend("torch").devices()[0] == "cpu"


@pytest.mark.parametrize(
    ("choice", "precision", "seen", "expected"),
    [
        ({"name": "auto"}, "float32", ["cpu"], "cpu"),
        ({"name": "auto"}, "float32", ["cpu", "cuda:0", "cuda:1"], "cuda:0"),
        ({"name": "auto", "index": 1}, "float32", ["cpu", "cuda:0", "cuda:1"], "cuda:1"),
        ({"name": "auto"}, "float32", ["cpu", "mps"], "mps"),
        ({"name": "auto"}, "float64", ["cpu", "mps"], "cpu"),
        ({"name": "cpu", "index": 0}, "float32", ["cpu", "cuda:0"], "cpu"),
        ({"name": "cuda", "index": 1}, "float32", ["cpu", "cuda:0", "cuda:1"], "cuda:1"),
    ],
)
def test_device_choice(
    monkeypatch: pytest.MonkeyPatch, choice: dict[str, Any], precision: str, seen: list[str], expected: str
) -> None:
    monkeypatch.setattr(devices, "seen", lambda: seen)
    assert str(devices.select(Device(**choice), precision)) == expected


@pytest.mark.parametrize(
    ("choice", "precision", "seen", "code", "path", "words"),
    [
        ({"name": "cuda"}, "float32", ["cpu"], "device-not-available", ("device", "name"), ["`cuda:0`", "`cpu`"]),
        (
            {"name": "cuda", "index": 2},
            "float32",
            ["cpu", "cuda:0"],
            "device-not-available",
            ("device", "index"),
            ["`cuda:2`", "`cuda:0`"],
        ),
        ({"name": "mps"}, "float32", ["cpu"], "device-not-available", ("device", "name"), ["`mps`"]),
        ({"name": "mps"}, "float64", ["cpu", "mps"], "precision-not-supported", ("precision",), ["`float64`", "`mps`"]),
        ({"name": "tpu"}, "float32", ["cpu"], "device-not-supported", ("device", "name"), ["`tpu`"]),
    ],
)
def test_devices_refused(
    monkeypatch: pytest.MonkeyPatch,
    choice: dict[str, Any],
    precision: str,
    seen: list[str],
    code: str,
    path: tuple[str, ...],
    words: list[str],
) -> None:
    monkeypatch.setattr(devices, "seen", lambda: seen)
    with pytest.raises(DlrunError) as caught:
        devices.select(Device(**choice), precision)
    assert (caught.value.code, caught.value.path, caught.value.exit_code) == (code, path, 2)
    assert all(w in caught.value.message for w in words)


def test_an_engine_refuses_its_device(make_plan: Maker) -> None:
    plan = make_plan(CHAIN, (6, 6, 2), classes=3)
    recipe = dataclasses.replace(plan.recipe, device=Device(name="tpu"))
    with pytest.raises(DlrunError, match="tpu"):
        compiled(dataclasses.replace(plan, recipe=recipe))
