"""Every registered optimizer on both backends against its numpy reference and torch.optim, and across the two."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")  # torch first
pytest.importorskip("tensorflow")

from dlrun.backends import load_backend  # noqa: E402
from dlrun.backends.base import EngineState  # noqa: E402
from dlrun.backends.tensorflow.optimizers import lower_optimizer  # noqa: E402
from dlrun.backends.tensorflow.weights import read  # noqa: E402
from dlrun.backends.torch.optimizers import set_rate, set_step  # noqa: E402
from dlrun.optimizers import Optimizer, optimizers  # noqa: E402
from dlrun.plan import Plan  # noqa: E402

import tensorflow as tf  # noqa: E402  # isort: skip

Maker = Callable[..., Plan]
Arrays = dict[str, np.ndarray]

MODEL: list[Any] = [{"conv2d": {"filters": 3, "kernel": 2}}, "flatten", {"dense": {"units": 2}}]
"""Kernels of four and two axes, biases of one."""
STEPS = 60
"""Ten times slower from the middle on. The rate is high: float32's rounding of a weight is small beside a step."""
CASES = [
    {"name": kind, "learning_rate": max(0.1, optimizers.get(kind).learning_rate), **fields}
    for kind in optimizers
    for fields in ({}, {"weight_decay": 0.05, "decay_kernels_only": True}, *optimizers.get(kind).examples)
]
LOOSE = {
    "nadam": "a quotient of two nearly equal products",
    "adadelta": "its steps start at the root of epsilon and feed on themselves",
    "lamb": "a quotient of two norms over the whole weight",
}
"""Optimizers whose float32 rounding is larger than 1e-5 of the way, and why; they have 3e-5."""


def said(case: dict[str, Any]) -> str:
    return "-".join(str(v).replace(" ", "") for v in case.values())


def gradients(shapes: dict[str, tuple[int, ...]]) -> Iterator[Arrays]:
    """Of sizes 1e-4 to 3 and either sign, the same in float32."""
    rng = np.random.default_rng(1)
    for _ in range(STEPS):
        yield {
            name: (rng.choice([-1, 1], shape) * 10 ** rng.uniform(-4, np.log10(3), shape)).astype(np.float32)
            for name, shape in shapes.items()
        }


def rate(spec: Optimizer, t: int) -> float:
    return spec.learning_rate * (1.0 if t <= STEPS // 2 else 0.1)


def start_of(plan: Plan) -> Arrays:
    """Initial weights, biases included: small, and what float32 holds."""
    rng = np.random.default_rng(2)
    return {
        name: (0.01 * rng.standard_normal(w.shape)).astype(np.float32).astype(np.float64)
        for name, w in plan.graph.weights()
    }


def reference(plan: Plan, start: Arrays) -> Iterator[tuple[Arrays, dict[str, Arrays]]]:
    """Weights and slots after each update, by the description."""
    spec, updates = plan.recipe.optimizer, plan.updates()
    specs = {name: dataclasses.replace(spec, weight_decay=u.decay) for name, u in updates.items()}
    w, slots = dict(start), {name: spec.new_slots(a.shape) for name, a in start.items()}
    for t, g in enumerate(gradients({name: a.shape for name, a in w.items()}), 1):
        for name in w:
            multiplied = rate(spec, t) * updates[name].multiplier
            w[name] = specs[name].update(w[name], g[name].astype(np.float64), slots[name], t, multiplied)
        yield dict(w), {name: dict(s) for name, s in slots.items()}


def on_torch(plan: Plan, start: Arrays) -> Iterator[EngineState]:
    """The engine's state after each update with the given gradients."""
    engine = load_backend("torch").compile(plan)
    engine.restore(EngineState(start))
    set_step(engine._optimizer, 0)
    for t, g in enumerate(gradients({name: a.shape for name, a in start.items()}), 1):
        for b in engine._trainable:
            b.tensor.grad = torch.zeros_like(b.tensor)
            b.write(b.tensor.grad, g[b.name])
        set_rate(engine._optimizer, t - 1, rate(plan.recipe.optimizer, t))
        engine._optimizer.step()
        yield engine.state()


def on_tensorflow(plan: Plan, start: Arrays) -> Iterator[EngineState]:
    """The same without a model around it, which takes longer to build than all the updates."""
    dtype = plan.array_dtype
    variables = {name: tf.Variable(w, dtype=dtype) for name, w in start.items()}
    rule = lower_optimizer(plan.recipe.optimizer, variables, plan.updates())
    scales = {f"{slot}/scale": scale for slot, scale in rule.slot_scales().items()}
    apply = tf.function(
        lambda found, row: rule.apply(found, tf.unstack(tf.cast(row, dtype), num=len(rule.scalars(1, 0.0)))),
        autograph=False,
    )
    for t, g in enumerate(gradients({name: a.shape for name, a in start.items()}), 1):
        found = {name: tf.constant(g[name], dtype) for name in rule.weights}
        apply(found, tf.constant(rule.scalars(t, rate(plan.recipe.optimizer, t)), tf.float64))
        yield EngineState(read(variables), read(rule.slots), scalars=scales)


RUNS = {"torch": on_torch, "tensorflow": on_tensorflow}


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("backend", RUNS)
@pytest.mark.parametrize("case", CASES, ids=said)
def test_sixty_updates_are_the_reference(case: dict[str, Any], backend: str, precision: str, make_plan: Maker) -> None:
    """Relative to how far the weights have moved, at every tenth update."""
    plan = make_plan(MODEL, (4, 4, 2), target=(2,), optimizer=case, precision=precision)
    gate = 1e-9 if precision == "float64" else (3e-5 if case["name"] in LOOSE else 1e-5)
    start = start_of(plan)
    runs = zip(RUNS[backend](plan, start), reference(plan, start), strict=True)
    for t, (state, (w, slots)) in enumerate(runs, 1):
        if t % 10 and precision == "float32":
            continue
        for name, expected in w.items():
            moved = np.abs(expected - start[name]).max()
            assert np.abs(state.weights[name] - expected).max() <= gate * moved, (t, name)
            for slot, value in slots[name].items():
                found = state.slots[f"{name}/{slot}"] / state.scalars.get(f"{slot}/scale", 1.0)
                assert np.abs(found - value).max() <= 10 * gate * np.abs(value).max(), (t, name, slot)
        assert len(state.slots) == sum(map(len, slots.values()))


def _common(spec: Any) -> dict[str, Any]:
    return {"lr": spec.learning_rate, "weight_decay": spec.weight_decay}


TORCH: dict[str, Callable[[Any, Any], Any]] = {
    "sgd": lambda p, s: torch.optim.SGD(
        p, momentum=s.momentum, nesterov=s.nesterov, dampening=s.dampening, **_common(s)
    ),
    "adam": lambda p, s: torch.optim.Adam(p, betas=s.betas, eps=s.epsilon, amsgrad=s.amsgrad, **_common(s)),
    "adamw": lambda p, s: torch.optim.AdamW(p, betas=s.betas, eps=s.epsilon, amsgrad=s.amsgrad, **_common(s)),
    "adamax": lambda p, s: torch.optim.Adamax(p, betas=s.betas, eps=s.epsilon, **_common(s)),
    "nadam": lambda p, s: torch.optim.NAdam(
        p,
        betas=s.betas,
        eps=s.epsilon,
        momentum_decay=s.momentum_decay,
        decoupled_weight_decay=s.decoupled,
        **_common(s),
    ),
    "radam": lambda p, s: torch.optim.RAdam(
        p, betas=s.betas, eps=s.epsilon, decoupled_weight_decay=s.decoupled, **_common(s)
    ),
    "rmsprop": lambda p, s: torch.optim.RMSprop(
        p, alpha=s.alpha, eps=s.epsilon, momentum=s.momentum, centered=s.centered, **_common(s)
    ),
    "adagrad": lambda p, s: torch.optim.Adagrad(
        p,
        lr_decay=s.learning_rate_decay,
        initial_accumulator_value=s.initial_sum,
        eps=s.epsilon,
        **_common(s),
    ),
    "adadelta": lambda p, s: torch.optim.Adadelta(p, rho=s.rho, eps=s.epsilon, **_common(s)),
    "adafactor": lambda p, s: torch.optim.Adafactor(
        p, beta2_decay=s.decay_exponent, eps=(s.epsilon, s.floor), d=s.clipping, **_common(s)
    ),
}
NOT_IN_TORCH = {"lion", "lamb"}


def test_every_optimizer_is_compared_with_torch_or_not_there() -> None:
    assert set(TORCH) | NOT_IN_TORCH == set(optimizers)
    assert not any(hasattr(torch.optim, name) for name in ("Lion", "LAMB", "Lamb"))


@pytest.mark.parametrize("case", [c for c in CASES if c["name"] in TORCH], ids=said)
def test_the_reference_is_torch_optim(case: dict[str, Any]) -> None:
    """Used as torch's manual says, on a matrix and a vector in float64."""
    fields = {k: v for k, v in case.items() if k not in ("name", "decay_kernels_only")}
    spec = optimizers.get(case["name"])(**fields)
    rng = np.random.default_rng(2)
    start = {"matrix": rng.standard_normal((4, 3)), "vector": rng.standard_normal(5)}
    tensors = {name: torch.tensor(a, requires_grad=True) for name, a in start.items()}
    native = TORCH[case["name"]](list(tensors.values()), spec)
    w, slots = dict(start), {name: spec.new_slots(a.shape) for name, a in start.items()}
    gate = 1e-7 if case["name"] == "nadam" else 1e-9  # torch keeps one of its factors in float32
    for t, g in enumerate(gradients({name: a.shape for name, a in start.items()}), 1):
        for name, tensor in tensors.items():
            tensor.grad = torch.tensor(g[name].astype(np.float64))
            w[name] = spec.update(w[name], g[name].astype(np.float64), slots[name], t, rate(spec, t))
        for group in native.param_groups:
            group["lr"] = rate(spec, t)
        native.step()
        for name, expected in w.items():
            moved = np.abs(expected - start[name]).max()
            assert np.abs(tensors[name].detach().numpy() - expected).max() <= gate * moved, (t, name)


@pytest.mark.parametrize("case", [c for c in CASES if "decay_kernels_only" not in c], ids=said)
def test_a_run_goes_on_in_the_other_framework(case: dict[str, Any], make_plan: Maker, draw: Callable[..., Any]) -> None:
    """Ten updates here and ten there are twenty here: slots and every counter travel, both ways."""
    plan = make_plan(MODEL, (4, 4, 2), target=(2,), optimizer=case)
    batch, base = draw(plan, n=8), plan.recipe.optimizer.learning_rate
    engines = {name: load_backend(name).compile(plan) for name in RUNS}

    def train(backend: str, state: EngineState, step: int) -> EngineState:
        engine = engines[backend]
        engine.restore(state)
        engine.train_streamed([batch] * 10, step, np.full(10, base * (1.0 if step == 0 else 0.1)))
        return engine.state()

    for first, second in (("torch", "tensorflow"), ("tensorflow", "torch")):
        half = train(first, EngineState(start_of(plan)), 0)
        went, stayed = train(second, half, 10), train(first, half, 10)
        for name, expected in stayed.weights.items():
            moved = np.abs(expected - half.weights[name]).max()
            np.testing.assert_allclose(went.weights[name], expected, rtol=0, atol=1e-9 * moved)
        assert went.slots.keys() == stayed.slots.keys()
        for name, array in stayed.slots.items():
            np.testing.assert_allclose(went.slots[name], array, rtol=0, atol=1e-9 * np.abs(array).max())
